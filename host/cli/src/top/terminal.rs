//! Terminal in raw mode, with a screen of its own, and its keys.
//!
//! Owns the modes, which are restored when the terminal is dropped: at every end of the command, also by an error or a panic, whose text is
//! printed afterwards. Knows nothing of what it shows. Bound: [`KEYS_MAX`] keys that wait; those behind them wait in the terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Stdout, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use termion::event::Key;
use termion::input::TermRead;
use termion::raw::{IntoRawMode, RawTerminal};
use termion::{clear, color, cursor, screen, style};
use tokio::sync::mpsc;

use super::screen::{Look, Screen, Size};
use crate::colour::is_coloured;

/// Terminal of this process.
pub(super) struct Terminal {
    out: RawTerminal<Stdout>,
    is_coloured: bool,
}

impl Terminal {
    /// Takes the terminal over.
    ///
    /// # Errors
    ///
    /// Standard output is no terminal, or its modes cannot be changed. Nothing changed.
    pub(super) fn open() -> anyhow::Result<Self> {
        let out = io::stdout();
        if !out.is_terminal() {
            bail!(
                "standard output is no terminal; print one table with herd top --once, or JSON with herd top --once --json"
            );
        }
        let is_coloured = is_coloured(&out);
        let mut out = out.into_raw_mode().context("the mode of the terminal cannot be changed")?;
        write!(out, "{}{}{}", screen::ToAlternateScreen, cursor::Hide, clear::All)?;
        out.flush()?;
        Ok(Self { out, is_coloured })
    }

    /// Returns columns and lines of the terminal, or 80x24 if it does not tell.
    pub(super) fn size(&self) -> Size {
        let size = termion::terminal_size().unwrap_or_default();
        let or = |told: u16, usual: usize| if told == 0 { usual } else { told.into() };
        (or(size.0, 80), or(size.1, 24))
    }

    /// Shows a screen. Written in one piece and over the last one, so that nothing flickers.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub(super) fn show(&mut self, screen: &Screen) -> io::Result<()> {
        let text = escaped(screen, self.is_coloured);
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring. The raw mode ends with the field.
        let _ = write!(self.out, "{}{}{}", style::Reset, cursor::Show, screen::ToMainScreen);
        let _ = self.out.flush();
    }
}

/// Reads the keys of the terminal on a thread of its own, which ends with the process. The receiver ends when the terminal is gone.
///
/// # Errors
///
/// This process has no terminal.
pub(super) fn keys() -> anyhow::Result<mpsc::Receiver<Key>> {
    // Not standard input, which may be something else.
    let terminal = termion::get_tty().context("the keys of the terminal cannot be read (/dev/tty)")?;
    let (sender, receiver) = mpsc::channel(KEYS_MAX);
    let read = move || {
        for key in terminal.keys() {
            let Ok(key) = key else { return };
            if sender.blocking_send(key).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keys".into()).spawn(read)?;
    Ok(receiver)
}

/// Runs something that may own the terminal. The text of a panic is printed once the terminal is restored, because the screen on which it
/// would appear is thrown away.
pub(super) fn with_panics_behind<T>(run: impl FnOnce() -> T) -> T {
    let texts = Arc::new(Mutex::new(String::new()));
    let usual = std::panic::take_hook();
    let noting = Arc::clone(&texts);
    std::panic::set_hook(Box::new(move |panic| {
        let _ = writeln!(noting.lock().unwrap_or_else(PoisonError::into_inner), "{panic}");
    }));
    let result = catch_unwind(AssertUnwindSafe(run));
    std::panic::set_hook(usual);
    eprint!("{}", texts.lock().unwrap_or_else(PoisonError::into_inner));
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Returns a screen with the escapes that show it.
fn escaped(screen: &Screen, is_coloured: bool) -> String {
    let mut text = String::new();
    for (row, line) in (1..).zip(&screen.lines) {
        let _ = write!(text, "{}", cursor::Goto(1, row));
        for (part, look) in &line.0 {
            let _ = match look {
                Look::Plain => write!(text, "{part}"),
                Look::Bold => write!(text, "{}{part}{}", style::Bold, style::Reset),
                Look::Selected => write!(text, "{}{part}{}", style::Invert, style::Reset),
                Look::Warn if is_coloured => write!(text, "{}{part}{}", color::Fg(color::Yellow), style::Reset),
                Look::Warn => write!(text, "{part}"),
                Look::Bad if is_coloured => {
                    write!(text, "{}{}{part}{}", style::Bold, color::Fg(color::Red), style::Reset)
                }
                Look::Bad => write!(text, "{}{part}{}", style::Bold, style::Reset),
            };
        }
        let _ = write!(text, "{}", clear::UntilNewline);
    }
    let _ = write!(text, "{}", clear::AfterCursor);
    text
}

/// More than somebody types in the time of a redraw.
const KEYS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::screen::Line;
    use super::*;

    #[test]
    fn top_colours_nothing_where_no_colour_is_wanted() {
        let line = Line::of("Riley", Look::Bad).and("warned", Look::Warn).and("one", Look::Selected);
        let screen = Screen { lines: vec![line], scrolled: 0 };
        let colours = |text: &str| text.contains("\u{1b}[38;5;") || text.contains("\u{1b}[31m");
        assert!(colours(&escaped(&screen, true)));
        assert!(!colours(&escaped(&screen, false)), "{:?}", escaped(&screen, false));
        assert!(escaped(&screen, false).contains("\u{1b}[7mone"), "the selected row can be told without colours");
    }

    #[test]
    fn top_prints_a_panic_and_passes_it_on() {
        let panicked = catch_unwind(|| with_panics_behind::<()>(|| panic!("as a test")));
        assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"as a test"));
        assert_eq!(with_panics_behind(|| 7), 7);
    }
}
