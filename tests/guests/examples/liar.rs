//! Decides what makes no sense: `BOOM LIE` names the lie. Written on the bare bindings, because the sdk does not let
//! an author lie in most of these ways.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_sdk::glue::bindings::exports::herd::logic::logic::{
    Awaiting, Description, Guest, InputDecision, Mark, Outcome, Report, ReportsDecision, Verdict,
};
use herd_sdk::glue::bindings::herd::logic::effects::{
    Decision, Effect, FanOut, Fetch, Keep, Level, Method, Note, Publish, Reply, Tie,
};
use herd_sdk::glue::bindings::herd::logic::types::{BadSetting, Moment, Settings, Span};
use herd_test_guests::echo;

struct Liar;

impl Guest for Liar {
    fn describe() -> Description {
        Description { name: "liar".into(), version: "1".into(), commands: vec!["BOOM".into()] }
    }

    fn configure(_: Settings) -> Result<(), BadSetting> {
        Ok(())
    }

    fn input(_: Moment, bytes: Vec<u8>, _: Mark) -> InputDecision {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let awaits = Awaiting::Delimiter(b'\n');
        let lie = str::from_utf8(line).ok().and_then(|line| line.strip_prefix("BOOM "));
        let honest = |decision| InputDecision { consumed: length, awaits, decision };
        let Some(lie) = lie else {
            let output = echo("liar", line);
            let bytes = Span { start: 0, length: u32::try_from(output.len()).unwrap_or(u32::MAX) };
            return honest(Decision { output, effects: vec![Effect::Reply(Reply { bytes, tie: None })] });
        };
        match lie {
            "consumed" => InputDecision { consumed: length + 1, awaits, decision: nothing() },
            "awaits" => InputDecision { consumed: length, awaits: Awaiting::Bytes(0), decision: nothing() },
            "output" => honest(Decision { output: vec![0; (8 << 20) + 1], effects: vec![] }),
            lie => honest(Decision { output: vec![b'x'; 200 << 10], effects: effects(lie) }),
        }
    }

    fn reports(_: Moment, _: Vec<u8>, reports: Vec<Report>) -> ReportsDecision {
        ReportsDecision { verdicts: vec![Verdict::Keep; reports.len() + 1], decision: nothing() }
    }

    fn answer(_: Moment, _: Vec<u8>, _: Vec<u8>, _: Outcome) -> Decision {
        nothing()
    }
}

/// The effects of a lie. The output has 200 KiB.
fn effects(lie: &str) -> Vec<Effect> {
    let honest = Effect::Keep(keep(1, 1, 1));
    match lie {
        "span" => vec![Effect::Note(Note { level: Level::Info, text: Span { start: u32::MAX, length: 2 } })],
        "tie" => vec![reply_tied_to(0)],
        "later-tie" => vec![reply_tied_to(1), honest],
        "publish" => vec![Effect::Publish(Publish { topic: of(1), bytes: of(1), tie: Some(7) })],
        "key" => vec![honest, Effect::Keep(keep((64 << 10) + 1, 1, 1))],
        "no-key" => vec![Effect::Keep(keep(0, 1, 1))],
        "rank" => vec![Effect::Keep(keep(1, 65, 1))],
        "record" => vec![Effect::Keep(keep(1, 1, (128 << 10) + 1))],
        "fan-out" => {
            let fan_out = FanOut::TheseFirst(vec!["Riley".into(); 65]);
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
        "effects" => vec![Effect::Close; (8 << 10) + 1],
        _ => vec![],
    }
}

fn keep(key: u32, rank: u32, record: u32) -> Keep {
    Keep { key: of(key), rank: of(rank), form: 1, bytes: of(record), fan_out: FanOut::Everyone }
}

fn reply_tied_to(keep: u32) -> Effect {
    Effect::Reply(Reply { bytes: of(1), tie: Some(Tie { keep, otherwise: of(1) }) })
}

fn nothing() -> Decision {
    Decision { output: vec![], effects: vec![] }
}

fn of(length: u32) -> Span {
    Span { start: 0, length }
}

herd_sdk::glue::bindings::export!(Liar with_types_in herd_sdk::glue::bindings);
