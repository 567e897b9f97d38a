//! A watch of a dead session: one session watches a client, by a record that nobody removes when the session ends.

use herd_logic::Line;
use herd_sdk::Context;

use super::{Bug, Planted};

/// `WATCH <client>` replies `OK`, or `BUSY` if a session watches that client already.
pub struct StaleWatch;

impl Bug for StaleWatch {
    const NAME: &'static str = "stale-watch";

    fn line(guest: &Planted<Self>, line: Line<'_>, context: &mut Context<'_>) {
        let Some(client) = line.bytes.strip_prefix(b"WATCH ") else {
            guest.herd.line(line, context);
            return;
        };
        let key = [b"watch/", client].concat();
        if context.record(&key).is_some_and(|found| found.bytes.starts_with(b"AT ")) {
            return context.reply(b"BUSY\n");
        }
        context.subscribe(client);
        // Written as a report of that name, so that peers take it.
        let record = [b"AT ", guest.node.as_bytes(), b" +0.0 ", &key, b" +0+0 0"].concat();
        let keep =
            context.keep(&key, &context.now_ns().to_be_bytes(), herd_logic::FORM, |out| out.extend_from_slice(&record));
        context.reply_if_kept(keep, |out| out.extend_from_slice(b"OK\n"), |out| line.echo(out));
    }
}
