//! A byte lost at a cut: a rest of one byte is taken for the second half of a line end.

use herd_sdk::{Context, Input, Mark, Progress};

use super::{Bug, Planted};

/// Takes a rest of one byte for a line end.
pub struct LostByte;

impl Bug for LostByte {
    const NAME: &'static str = "lost-byte";

    fn input(guest: &Planted<Self>, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        let progress = guest.lines(input, context);
        let is_one = input.mark == Mark::More && progress.consumed + 1 == input.bytes.len();
        Progress { consumed: if is_one { input.bytes.len() } else { progress.consumed }, ..progress }
    }
}
