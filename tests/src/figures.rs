//! Measured figures, printed one a line: name, value, bar, `ok` or `short`.

use std::process::ExitCode;

/// Prints figures at once and counts those that miss their bar.
#[derive(Debug, Default)]
pub struct Figures {
    shown: usize,
    short: usize,
}

impl Figures {
    /// Prints a figure with its bar.
    pub fn show(&mut self, name: &str, value: impl std::fmt::Display, bar: &str, holds: bool) {
        self.shown += 1;
        self.short += usize::from(!holds);
        let verdict = if holds { "ok" } else { "short" };
        println!("{name:<48} {value:<28} {bar:<30} {verdict}", value = value.to_string());
    }

    /// Prints a value that has no bar.
    pub fn tell(&mut self, name: &str, value: impl std::fmt::Display) {
        println!("{name:<48} {value}");
    }

    /// Success if at least one figure was shown and none missed its bar.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        println!("{} figures, {} short", self.shown, self.short);
        if self.shown > 0 && self.short == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
