//! What wasmtime generates from `wit/`, and the conversions between it and the types of `herd-sdk`.
//!
//! One such module exists per released version of the contract; effects are lifted to the newest.

use herd_sdk::{Awaiting, Decision, Effect, FanOut, Fetch, Keep, Level, Mark, Method, Moment, Note, Publish};
use herd_sdk::{Reply, Span, Tie, Verdict};

pub(super) use generated::exports::herd::logic::logic as wit;
pub(super) use generated::herd::logic::{effects, records, types};
pub(super) use generated::{NodeLogic, NodeLogicPre};

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "node-logic",
        exports: { default: async },
        imports: { default: trappable },
    });
}

/// The package and version that this host speaks.
pub(super) const PACKAGE: &str = "herd:logic";
/// See [`PACKAGE`].
pub(super) const VERSION: &str = "0.1.0-draft";

pub(super) fn moment(at: Moment) -> types::Moment {
    types::Moment { now: at.now_ns, random: at.random }
}

pub(super) fn mark(mark: Mark) -> wit::Mark {
    match mark {
        Mark::More => wit::Mark::More,
        Mark::End => wit::Mark::End,
        Mark::Overlong => wit::Mark::Overlong,
    }
}

pub(super) fn failure(failure: herd_sdk::Failure) -> wit::Failure {
    use herd_sdk::Failure;
    match failure {
        Failure::Unknown => wit::Failure::Unknown,
        Failure::Unreachable => wit::Failure::Unreachable,
        Failure::Timeout => wit::Failure::Timeout,
        Failure::TooLarge => wit::Failure::TooLarge,
        Failure::Incomplete => wit::Failure::Incomplete,
        Failure::Busy => wit::Failure::Busy,
    }
}

pub(super) fn awaiting(awaits: wit::Awaiting) -> Awaiting {
    match awaits {
        wit::Awaiting::Delimiter(byte) => Awaiting::Delimiter(byte),
        wit::Awaiting::Bytes(count) => Awaiting::Bytes(count),
    }
}

pub(super) fn verdict(verdict: wit::Verdict) -> Verdict {
    match verdict {
        wit::Verdict::Keep => Verdict::Keep,
        wit::Verdict::Refuse => Verdict::Refuse,
    }
}

pub(super) fn decision(decision: effects::Decision) -> Decision {
    Decision { output: decision.output, effects: decision.effects.into_iter().map(effect).collect() }
}

fn span(span: types::Span) -> Span {
    Span { start: span.start, length: span.length }
}

fn effect(effect: effects::Effect) -> Effect {
    match effect {
        effects::Effect::Reply(reply) => Effect::Reply(Reply {
            bytes: span(reply.bytes),
            tie: reply.tie.map(|tie| Tie { keep: tie.keep, otherwise: span(tie.otherwise) }),
        }),
        effects::Effect::Keep(keep) => Effect::Keep(Keep {
            key: span(keep.key),
            rank: span(keep.rank),
            form: keep.form,
            bytes: span(keep.bytes),
            fan_out: match keep.fan_out {
                effects::FanOut::Everyone => FanOut::Everyone,
                effects::FanOut::TheseFirst(peers) => FanOut::TheseFirst(peers),
            },
        }),
        effects::Effect::Fetch(fetch) => Effect::Fetch(Fetch {
            upstream: span(fetch.upstream),
            method: match fetch.method {
                effects::Method::Get => Method::Get,
                effects::Method::Post => Method::Post,
            },
            path: span(fetch.path),
            body: span(fetch.body),
            token: span(fetch.token),
            otherwise: span(fetch.otherwise),
        }),
        effects::Effect::Subscribe(topic) => Effect::Subscribe(span(topic)),
        effects::Effect::Unsubscribe(topic) => Effect::Unsubscribe(span(topic)),
        effects::Effect::Publish(publish) => {
            Effect::Publish(Publish { topic: span(publish.topic), bytes: span(publish.bytes), tie: publish.tie })
        }
        effects::Effect::Close => Effect::Close,
        effects::Effect::Note(note) => Effect::Note(Note {
            level: match note.level {
                effects::Level::Debug => Level::Debug,
                effects::Level::Info => Level::Info,
                effects::Level::Warn => Level::Warn,
            },
            text: span(note.text),
        }),
    }
}
