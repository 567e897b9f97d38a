//! Answers by the node's own clock: a report that is old by it is not shown.

use herd_logic::{AtLine, Command, Line, reply_invalid};
use herd_sdk::Context;

use super::{Bug, Planted};

/// Hides reports that are older than 15 s by the node's clock.
pub struct OwnClock;

impl Bug for OwnClock {
    const NAME: &'static str = "own-clock";

    fn line(guest: &Planted<Self>, line: Line<'_>, context: &mut Context<'_>) {
        if let Command::Whatsat { client, .. } = line.command() {
            let now_ns = u128::from(context.now_ns());
            let found = context.record(client).unwrap_or_default();
            if AtLine::parse(&found.bytes).is_some_and(|at| at.time.ns() + 15_000_000_000 < now_ns) {
                return reply_invalid(line, context);
            }
        }
        guest.herd.line(line, context);
    }
}
