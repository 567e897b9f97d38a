//! Property: parsing returns what was written, for every transcript.

use proptest::prelude::*;

use super::*;
use crate::event::Failure;
use crate::transcript::effect_line::EffectLine;
use crate::transcript::pattern::{Pattern, Piece};

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Goal: parse(format(x)) = x. Method: events and effects are written as a program or a recording writes them, between comments,
    /// and the parsed transcript has to hold the same ones.
    #[test]
    fn parsing_returns_the_written_transcript(steps in prop::collection::vec((event(), prop::collection::vec(effect(), 0..4)), 1..8)) {
        // Every name is captured in the first step, so that the order of the others does not matter.
        let first = Token::Pattern(Pattern(NAMES.map(|name| Piece::Capture(name.into())).into()));
        let mut text = format!("node n0\ninput \"\"\n{}\n", EffectLine::of_tokens(&[Token::Word("reply".into()), first]).text);
        for (event, effects) in &steps {
            text.push_str(&format!("# Comment.\n{event}\n"));
            if event.calls_guest() {
                effects.iter().for_each(|tokens| text.push_str(&format!("{}\n", EffectLine::of_tokens(tokens).text)));
            }
        }
        let parsed = Transcript::parse("t", &text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(parsed.steps().len(), steps.len() + 1);
        for (step, (event, effects)) in parsed.steps()[1..].iter().zip(&steps) {
            prop_assert_eq!(step.event(), event, "{}", text);
            let none = vec![];
            let effects = if event.calls_guest() { effects } else { &none };
            prop_assert_eq!(step.expected().map(<[Token]>::to_vec).collect::<Vec<_>>(), effects.clone(), "{}", text);
        }
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        prop::collection::vec(prop::sample::select(&b"\n\r\t \"'\\*{}#?x,"[..]), 0..60),
        (any::<u8>(), 0..200_usize).prop_map(|(byte, count)| vec![byte; count]),
        "\\PC{0,20}".prop_map(String::into_bytes),
    ]
}

fn string() -> impl Strategy<Value = Token> {
    let piece = prop_oneof![
        bytes().prop_map(Piece::Literal),
        Just(Piece::Any),
        Just(Piece::One),
        Just(Piece::Digits),
        prop::sample::select(&NAMES[..]).prop_map(|name| Piece::Use(name.into())),
    ];
    prop::collection::vec(piece, 0..6).prop_map(Token::string)
}

fn effect() -> impl Strategy<Value = Vec<Token>> {
    let word = |word: &str| Token::Word(word.into());
    let value = prop_oneof![3 => string(), 1 => Just(Token::Any)];
    (prop::sample::select(&["reply", "keep", "fetch", "publish", "note"][..]), prop::collection::vec(value, 1..4))
        .prop_map(move |(first, values)| {
            let mut tokens = vec![word(first)];
            for (index, value) in values.into_iter().enumerate() {
                if index > 0 {
                    tokens.push(word(["else", ",", "form", "to"][index]));
                }
                tokens.push(value);
            }
            tokens
        })
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![
        (100..1000_u16, bytes()).prop_map(|(status, body)| UpstreamOutcome::Answered { status, body }),
        prop::sample::select(&Failure::ALL[..]).prop_map(UpstreamOutcome::Failed),
    ];
    let report = (bytes(), bytes(), any::<u32>(), bytes(), bytes())
        .prop_map(|(key, bytes, form, rank, origin)| PeerReport { key, bytes, form, rank, origin });
    let mark = prop::sample::select(&[Mark::More, Mark::End, Mark::Overlong][..]);
    prop_oneof![
        any::<u64>().prop_map(Event::Now),
        any::<u64>().prop_map(Event::Advance),
        any::<(u64, u64)>().prop_map(|(first, second)| Event::Random(first, second)),
        "[a-z]{1,8}".prop_map(Event::Session),
        (bytes(), mark).prop_map(|(bytes, mark)| Event::Input { bytes, mark }),
        prop::collection::vec(report, 1..3).prop_map(Event::Reports),
        (prop::option::of(bytes()), outcome).prop_map(|(upstream, outcome)| Event::Answer { upstream, outcome }),
        // The node of the first line, again: others may run out of room.
        Just(Event::Node("n0".into())),
    ]
}

const NAMES: [&str; 3] = ["a", "skew_1", "Node"];
