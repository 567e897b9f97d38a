//! Makes invalid decisions: `BOOM LIE` names the rule that it breaks. Uses the generated bindings directly, because the sdk
//! prevents most of these decisions.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::component::bindings::exports::herd::logic::logic::{Description, Guest, Outcome};
use herd_sdk::component::bindings::herd::logic::types::{BadSetting, Moment, Settings};
use herd_sdk::component::bindings::herd::logic::{effects, records};
use herd_sdk::{Awaiting, Effect, Effects, FanOut, Fetch, Inputs, Keep, Level, Method, Note, Progress, Publish};
use herd_sdk::{Reply, Span, Tie};
use herd_test_guests::echo;

struct Liar;

impl Guest for Liar {
    fn describe() -> Description {
        Description { name: "liar".into(), version: "1".into(), commands: vec!["BOOM".into()] }
    }

    fn configure(_: Settings) -> Result<(), BadSetting> {
        Ok(())
    }

    fn inputs(_: Moment, bytes: Vec<u8>, inputs: Vec<u32>) -> effects::Decision {
        let mut output = vec![];
        let mut effects = Effects::default();
        for input in Inputs::new(&bytes, &inputs) {
            let line = input.bytes.strip_suffix(b"\n").unwrap_or(input.bytes);
            let mut progress = Progress { consumed: input.bytes.len(), awaits: Awaiting::Delimiter(b'\n') };
            match str::from_utf8(line).ok().and_then(|line| line.strip_prefix("BOOM ")) {
                None => {
                    let answer = echo("liar", line);
                    let bytes = Span { start: number(output.len()), length: number(answer.len()) };
                    output.extend(answer);
                    effects.push(Effect::Reply(Reply { bytes, tie: None }));
                }
                Some("consumed") => progress.consumed += 1,
                Some("awaits") => progress.awaits = Awaiting::Bytes(0),
                Some("output") => output.resize((8 << 20) + 1, 0),
                // Panics in the host function and does not return.
                Some("look-up") => drop(records::get(&[vec![b'k'; (64 << 10) + 1]])),
                Some("words") => return effects::Decision { output, effects: vec![10, 99] },
                Some("undone") => return effects::Decision { output, effects: vec![10] },
                Some(lie) => {
                    output.resize(200 << 10, b'x');
                    effects.extend(lies(lie));
                }
            }
            effects.push(Effect::Done(progress));
        }
        effects::Decision { output, effects: effects.into_words() }
    }

    fn reports(_: Moment, _: Vec<u8>, _: Vec<u32>) -> effects::Decision {
        let effects = Effects::from_iter([Effect::Refuse(u32::MAX)]);
        effects::Decision { output: vec![], effects: effects.into_words() }
    }

    fn answer(_: Moment, _: Vec<u8>, _: Vec<u8>, _: Outcome) -> effects::Decision {
        effects::Decision { output: vec![], effects: vec![] }
    }
}

/// Returns the effects of a lie. The output has 200 KiB.
fn lies(lie: &str) -> Vec<Effect> {
    let honest = Effect::Keep(keep(1, 1, 1));
    match lie {
        "span" => vec![Effect::Note(Note { level: Level::Info, text: Span { start: u32::MAX, length: 2 } })],
        "tie" => vec![reply_tied_to(0)],
        "later-tie" => vec![reply_tied_to(0), honest],
        "publish" => vec![Effect::Publish(Publish { topic: of(1), bytes: of(1), tie: Some(7) })],
        "key" => vec![honest, Effect::Keep(keep((64 << 10) + 1, 1, 1))],
        "no-key" => vec![Effect::Keep(keep(0, 1, 1))],
        "rank" => vec![Effect::Keep(keep(1, 65, 1))],
        "record" => vec![Effect::Keep(keep(1, 1, (128 << 10) + 1))],
        "fan-out" => {
            let fan_out = FanOut::TheseFirst(of((4 << 10) + 1));
            vec![Effect::Keep(Keep { fan_out, ..keep(1, 1, 1) })]
        }
        "token" => vec![Effect::Fetch(Fetch {
            upstream: of(1),
            method: Method::Get,
            path: of(0),
            body: of(0),
            token: of((4 << 10) + 1),
            otherwise: of(1),
        })],
        "topic" => vec![Effect::Subscribe(of(0))],
        "refuse" => vec![Effect::Refuse(0)],
        "effects" => vec![Effect::Close; 8 << 10], // and one `Done`
        _ => vec![],
    }
}

fn keep(key: u32, rank: u32, record: u32) -> Keep {
    Keep { key: of(key), rank: of(rank), form: 1, bytes: of(record), fan_out: FanOut::Everyone }
}

fn reply_tied_to(keep: u32) -> Effect {
    Effect::Reply(Reply { bytes: of(1), tie: Some(Tie { keep, otherwise: of(1) }) })
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn of(length: u32) -> Span {
    Span { start: 0, length }
}

herd_sdk::component::bindings::export!(Liar with_types_in herd_sdk::component::bindings);
