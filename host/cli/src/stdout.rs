//! Output of commands to standard output, through the macros `say!` and `say_on!`.

/// Prints a line to standard output, as `println!` does, but ends the process quietly if the reader has gone.
macro_rules! say {
    ($($text:tt)*) => { $crate::stdout::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// Like `say!`, without the newline.
macro_rules! say_on {
    ($($text:tt)*) => { $crate::stdout::print(format_args!($($text)*)) };
}

/// Prints to standard output. If that fails, ends the process with success: a reader that needs no more, such as `head`, is not
/// a failure of the command.
pub(super) fn print(text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    if std::io::stdout().lock().write_fmt(text).is_err() {
        std::process::exit(0);
    }
}
