//! A counter in memory: reports of one time are told apart by the number of lines that the instance has seen.

use std::sync::atomic::{AtomicU64, Ordering};

use herd_logic::Line;
use herd_sdk::Context;

use super::{Bug, Planted};

/// Keeps a counter in its memory.
pub struct HiddenCounter;

impl Bug for HiddenCounter {
    const NAME: &'static str = "hidden-counter";

    fn line(guest: &Planted<Self>, line: Line<'_>, context: &mut Context<'_>) {
        static LINES: AtomicU64 = AtomicU64::new(0);
        let count = LINES.fetch_add(1, Ordering::Relaxed);
        guest.ranked(line, context, |iamat, received_ns| {
            let time = iamat.time.ns().min(u128::from(received_ns) + 60_000_000_000);
            [&time.to_be_bytes()[..], &iamat.time.ns().to_be_bytes(), &count.to_be_bytes()].concat()
        });
    }
}
