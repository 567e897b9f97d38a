//! The fallback forgotten: a `WHATSAT` whose source is silent gets no reply.

use herd_logic::{Command, Line};
use herd_sdk::{Context, Decision, Effect, Fetch, Found, Logic, Method, Moment, Outcome, Records};

use super::{Bug, Planted};

/// Fetches without a fallback reply.
pub struct LostFallback;

impl Bug for LostFallback {
    const NAME: &'static str = "lost-fallback";

    fn line(guest: &Planted<Self>, line: Line<'_>, context: &mut Context<'_>) {
        if let Command::Whatsat { client, .. } = line.command() {
            let decision = decide_by_default(guest, line, context);
            if let [fetch] = fetches(&decision)[..] {
                let token = [decision.bytes(fetch.token), b"\t", client].concat();
                return fetch_again(&decision, &fetch, &token, context);
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

/// Returns the decision of the default logic on a line.
fn decide_by_default(guest: &Planted<LostFallback>, line: Line<'_>, context: &Context<'_>) -> Decision {
    let records = ContextRecords(context);
    let mut inner = Context::new(Moment { now_ns: context.now_ns(), random: context.random() }, &records);
    guest.herd.line(line, &mut inner);
    inner.finish()
}

/// Returns the fetches of a decision.
fn fetches(decision: &Decision) -> Vec<Fetch> {
    let fetch = |effect| if let Effect::Fetch(fetch) = effect { Some(fetch) } else { None };
    decision.effects.iter().filter_map(fetch).collect()
}

/// Makes a fetch of another decision, with this token and no fallback reply.
fn fetch_again(decision: &Decision, fetch: &Fetch, token: &[u8], context: &mut Context<'_>) {
    let text = |span| str::from_utf8(decision.bytes(span)).unwrap_or_default();
    let (upstream, path) = (text(fetch.upstream), text(fetch.path));
    match fetch.method {
        Method::Get => context.fetch(upstream, path, token, b""),
        Method::Post => context.fetch_post(upstream, path, decision.bytes(fetch.body), token, b""),
    }
}

/// Records of a call, for a call within it.
struct ContextRecords<'t, 'a>(&'t Context<'a>);

impl Records for ContextRecords<'_, '_> {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        keys.iter().map(|key| self.0.record(key)).collect()
    }
}
