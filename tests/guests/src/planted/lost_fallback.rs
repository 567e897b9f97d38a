//! The fallback forgotten: a `WHATSAT` whose source is silent gets no reply.

use herd_logic::{Command, Line};
use herd_sdk::{Context, Logic, Outcome};

use super::{Bug, Planted, fetch_again, fetches};

/// Fetches without a fallback reply.
pub struct LostFallback;

impl Bug for LostFallback {
    const NAME: &'static str = "lost-fallback";

    fn line(guest: &Planted<Self>, line: Line<'_>, context: &mut Context<'_>) {
        if let Command::Whatsat { client, .. } = line.command() {
            let decision = guest.decided(line, context);
            if let [fetch] = fetches(&decision)[..] {
                let token = [decision.bytes(fetch.token), b"\t", client].concat();
                return fetch_again(&decision, &fetch, &token, b"", context);
            }
        }
        guest.herd.line(line, context);
    }

    fn answer(guest: &Planted<Self>, token: &[u8], _: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        // The `AT` line is looked up anew, since no fallback brings it.
        let mut parts = token.splitn(2, |&byte| byte == b'\t');
        let (search, client) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let found = context.record(client).unwrap_or_default();
        guest.herd.answer(search, &found.bytes, outcome, context);
    }
}
