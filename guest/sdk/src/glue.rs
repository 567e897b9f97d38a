//! Between a [`Logic`] and the component model. Converts types, nothing else.

use std::cell::OnceCell;
use std::marker::PhantomData;

use bindings::exports::herd::logic::logic as wit;
use bindings::herd::logic::{effects, records, types};

use crate::event::{Awaiting, Failure, Found, Input, Mark, Moment, Outcome, Report, Verdict};
use crate::logic::{Logic, Settings};
use crate::turn::{Records, Turn};
use crate::{Effect, FanOut, Level, Method, Span};

/// What wit-bindgen generates from `wit/`.
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "node-logic",
        pub_export_macro: true,
        default_bindings_module: "herd_sdk::glue::bindings",
    });
}

/// Where a component keeps its configured logic. Implemented by [`export!`](crate::export).
pub trait Slot: 'static {
    /// The logic.
    type Logic: Logic;

    /// Gives access to it.
    fn with<R>(use_it: impl FnOnce(&OnceCell<Self::Logic>) -> R) -> R;
}

/// The component of a logic. Named by [`export!`](crate::export).
pub struct Component<S>(PhantomData<S>);

impl<S: Slot> wit::Guest for Component<S> {
    fn describe() -> wit::Description {
        let description = S::Logic::describe();
        wit::Description { name: description.name, version: description.version, commands: description.commands }
    }

    fn configure(settings: types::Settings) -> Result<(), types::BadSetting> {
        let table = settings.table.into_iter().map(|setting| (setting.name, setting.value)).collect();
        let logic = S::Logic::configure(&Settings { node: settings.node, table })
            .map_err(|bad| types::BadSetting { name: bad.name, problem: bad.problem })?;
        S::with(|slot| slot.set(logic).unwrap_or_else(|_| panic!("configured twice")));
        Ok(())
    }

    fn input(at: types::Moment, bytes: Vec<u8>, mark: wit::Mark) -> wit::InputDecision {
        let mark = match mark {
            wit::Mark::More => Mark::More,
            wit::Mark::End => Mark::End,
            wit::Mark::Overlong => Mark::Overlong,
        };
        // A report is written three times: into the record, the reply, and the reply if there is no room.
        let mut turn = Turn::sized(moment(at), &HostRecords, 4 * bytes.len() + 256, bytes.len() / 24 + 4);
        let progress = logic::<S, _>(|logic| logic.input(Input { bytes: &bytes, mark }, &mut turn));
        wit::InputDecision {
            consumed: u32::try_from(progress.consumed).unwrap_or(u32::MAX),
            awaits: match progress.awaits {
                Awaiting::Delimiter(byte) => wit::Awaiting::Delimiter(byte),
                Awaiting::Bytes(count) => wit::Awaiting::Bytes(count),
            },
            decision: decision(turn.finish()),
        }
    }

    fn reports(at: types::Moment, payload: Vec<u8>, reports: Vec<wit::Report>) -> wit::ReportsDecision {
        let bytes = |span: types::Span| native(span).of(&payload).expect("the host points into the payload");
        let reports: Vec<Report<'_>> = reports
            .into_iter()
            .map(|report| Report {
                key: bytes(report.key),
                rank: bytes(report.rank),
                form: report.form,
                bytes: bytes(report.bytes),
                origin: bytes(report.origin),
            })
            .collect();
        let mut turn = Turn::new(moment(at), &HostRecords);
        let verdicts = logic::<S, _>(|logic| logic.reports(&reports, &mut turn));
        let verdict = |verdict| match verdict {
            Verdict::Keep => wit::Verdict::Keep,
            Verdict::Refuse => wit::Verdict::Refuse,
        };
        wit::ReportsDecision {
            verdicts: verdicts.into_iter().map(verdict).collect(),
            decision: decision(turn.finish()),
        }
    }

    fn answer(at: types::Moment, token: Vec<u8>, otherwise: Vec<u8>, outcome: wit::Outcome) -> effects::Decision {
        let outcome = match &outcome {
            wit::Outcome::Answered(response) => Outcome::Answered { status: response.status, body: &response.body },
            wit::Outcome::Failed(failure) => Outcome::Failed(match failure {
                wit::Failure::Unknown => Failure::Unknown,
                wit::Failure::Unreachable => Failure::Unreachable,
                wit::Failure::Timeout => Failure::Timeout,
                wit::Failure::TooLarge => Failure::TooLarge,
                wit::Failure::Incomplete => Failure::Incomplete,
                wit::Failure::Busy => Failure::Busy,
            }),
        };
        let mut turn = Turn::new(moment(at), &HostRecords);
        logic::<S, _>(|logic| logic.answer(&token, &otherwise, outcome, &mut turn));
        decision(turn.finish())
    }
}

/// The records of the node, by way of the import.
struct HostRecords;

impl Records for HostRecords {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
        let found = |found: records::Found| Found { rank: found.rank, form: found.form, bytes: found.bytes };
        records::get(&keys).into_iter().map(|item| item.map(found)).collect()
    }
}

fn logic<S: Slot, R>(decide: impl FnOnce(&S::Logic) -> R) -> R {
    S::with(|slot| decide(slot.get().expect("the host configures an instance before its first call")))
}

fn moment(at: types::Moment) -> Moment {
    Moment { now_ns: at.now, random: at.random }
}

fn native(span: types::Span) -> Span {
    Span { start: span.start, length: span.length }
}

fn wire(span: Span) -> types::Span {
    types::Span { start: span.start, length: span.length }
}

fn decision(decision: crate::Decision) -> effects::Decision {
    effects::Decision { output: decision.output, effects: decision.effects.into_iter().map(effect).collect() }
}

fn effect(effect: Effect) -> effects::Effect {
    match effect {
        Effect::Reply(reply) => effects::Effect::Reply(effects::Reply {
            bytes: wire(reply.bytes),
            tie: reply.tie.map(|tie| effects::Tie { keep: tie.keep, otherwise: wire(tie.otherwise) }),
        }),
        Effect::Keep(keep) => effects::Effect::Keep(effects::Keep {
            key: wire(keep.key),
            rank: wire(keep.rank),
            form: keep.form,
            bytes: wire(keep.bytes),
            fan_out: match keep.fan_out {
                FanOut::Everyone => effects::FanOut::Everyone,
                FanOut::TheseFirst(peers) => effects::FanOut::TheseFirst(peers),
            },
        }),
        Effect::Fetch(fetch) => effects::Effect::Fetch(effects::Fetch {
            upstream: wire(fetch.upstream),
            method: match fetch.method {
                Method::Get => effects::Method::Get,
                Method::Post => effects::Method::Post,
            },
            path: wire(fetch.path),
            body: wire(fetch.body),
            token: wire(fetch.token),
            otherwise: wire(fetch.otherwise),
        }),
        Effect::Subscribe(topic) => effects::Effect::Subscribe(wire(topic)),
        Effect::Unsubscribe(topic) => effects::Effect::Unsubscribe(wire(topic)),
        Effect::Publish(publish) => effects::Effect::Publish(effects::Publish {
            topic: wire(publish.topic),
            bytes: wire(publish.bytes),
            tie: publish.tie,
        }),
        Effect::Close => effects::Effect::Close,
        Effect::Note(note) => effects::Effect::Note(effects::Note {
            level: match note.level {
                Level::Debug => effects::Level::Debug,
                Level::Info => effects::Level::Info,
                Level::Warn => effects::Level::Warn,
            },
            text: wire(note.text),
        }),
    }
}
