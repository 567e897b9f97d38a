//! Transcripts of `tests/transcripts`, run wherever logic runs: natively, in a warm component, in a component that is fresh for
//! each call, and over TCP against a node.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use herd_logic::Herd as Logic;
use herd_runtime::{ComponentDecider, Engine, Limits, Warmth};
use herd_sdk::native::{Decider, MemoryRecords, Native};
use herd_sdk::transcript::{Exchange, Run, Transcript};
use herd_sdk::{Logic as _, Mark, Settings};
use herd_tests::{Client, DEFAULT_GUEST, HELLO, Herd, WATCH};

/// Goal: no state hides in the guest, and the component decides as the native logic does. Method: the effects have to be equal to
/// the byte in all three places, and equal to the expectations of the transcript.
#[test]
fn transcripts_agree_in_native_logic_and_in_warm_and_fresh_components() {
    let engine = Engine::new(Limits::default()).unwrap();
    let mut failures = vec![];
    for transcript in transcripts().into_iter().chain(transcripts_in("classic/transcripts")) {
        let native =
            run(&transcript, |settings, records| Box::new(Native::new(Logic::configure(settings).unwrap(), records)));
        if !native.passed() {
            failures.push(native.to_string());
        }
        for warmth in [Warmth::Warm, Warmth::Fresh] {
            let component = run(&transcript, |settings, records| {
                let loaded =
                    ComponentDecider::load(&engine, herd_cli::default_guest(), settings.clone(), records, warmth);
                Box::new(loaded.unwrap())
            });
            if component.actual() != native.actual() {
                failures.push(format!("{} differs in a {warmth:?} component\n{component}", transcript.name()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Goal: the node around the logic adds nothing and loses nothing. Method: the client input is sent over TCP and the replies are
/// compared, except for the skew, which depends on the time of receipt. All transcripts run against one node, so that each also
/// sees the records that earlier ones left.
#[test]
fn transcripts_that_a_client_can_play_hold_over_tcp() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut replayed = 0;
    for transcript in transcripts().iter().filter(|transcript| transcript.not_live().is_none()) {
        assert_eq!((transcript.settings().node.as_str(), &*transcript.settings().table), ("Riley", &[][..]));
        replay(&herd, transcript);
        replayed += 1;
    }
    assert!(replayed >= LIVE_MIN, "only {replayed} transcripts can be replayed");
}

/// Goal: a guest that answers as the protocol says passes `herd test`, whatever it does besides. Method: the example that also
/// publishes every record, with and without the effects that no client observes, and a guest that answers differently.
#[test]
fn herd_test_compares_the_replies_of_the_built_in_transcripts() {
    let herd = Herd::of_one();
    let all = transcripts().len();
    let (passed, said) = herd_test(&herd, &[WATCH]);
    assert!(passed && said.ends_with(&passes(all, 0, REPLIES)), "{said}");
    let (passed, said) = herd_test(&herd, &[WATCH, "--effects"]);
    assert!(!passed && said.contains("+   publish \"iamat-a\""), "{said}");
    let (passed, said) = herd_test(&herd, &[DEFAULT_GUEST, "--effects"]);
    assert!(passed && said.ends_with(&passes(all, 0, EFFECTS)), "{said}");
    let (passed, said) = herd_test(&herd, &[HELLO]);
    assert!(
        !passed && said.contains("+   reply \"hello, WHATSAT") && said.contains("herd test GUEST.wasm FILE"),
        "{said}"
    );
    assert!(said.ends_with(&passes(0, all, REPLIES)), "{said}");
}

#[test]
fn herd_test_compares_every_effect_of_transcripts_that_are_named() {
    let herd = Herd::of_one();
    let named = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_string_lossy().into_owned();
    let iamat = named("transcripts/iamat.herd");
    let (passed, said) = herd_test(&herd, &[WATCH, &iamat]);
    assert!(!passed && said.ends_with(&passes(0, 1, EFFECTS)), "{said}");
    let (passed, said) = herd_test(&herd, &[WATCH, &iamat, "--replies"]);
    assert!(passed && said.ends_with(&passes(1, 0, REPLIES)), "{said}");
    let (passed, said) = herd_test(&herd, &[WATCH, &named("../guest/examples/watch/transcripts")]);
    assert!(passed && said.ends_with(&passes(1, 0, EFFECTS)), "{said}");
    let (passed, said) = herd_test(&herd, &[HELLO, &named("../guest/examples/hello/transcripts")]);
    assert!(passed && said.ends_with(&passes(1, 0, EFFECTS)), "{said}");
}

/// Runs `herd test`. Returns whether it passed, and its output.
fn herd_test(herd: &Herd, arguments: &[&str]) -> (bool, String) {
    let tested = herd.herd(&[&["test"], arguments].concat());
    (tested.status.success(), String::from_utf8_lossy(&tested.stdout).into_owned())
}

fn passes(passed: usize, failed: usize, compared: &str) -> String {
    format!("\n{passed} passed, {failed} failed ({compared})\n")
}

fn transcripts() -> Vec<Transcript> {
    transcripts_in("transcripts")
}

fn transcripts_in(directory: &str) -> Vec<Transcript> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "herd"));
    files.sort();
    assert!(!files.is_empty(), "no transcripts in {}", directory.display());
    let parse = |file: &std::path::PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy();
        Transcript::parse(&name, &fs::read_to_string(file).unwrap()).unwrap()
    };
    files.iter().map(parse).collect()
}

fn run(transcript: &Transcript, decider: impl Fn(&Settings, Arc<MemoryRecords>) -> Box<dyn Decider>) -> Run {
    let load = |settings: &Settings, records| Ok::<_, Infallible>(decider(settings, records));
    transcript.run_herd(load).unwrap()
}

fn replay(herd: &Herd, transcript: &Transcript) {
    let mut clients: BTreeMap<usize, Client> = BTreeMap::new();
    for exchange in transcript.exchanges() {
        let place = format!("{}:{}", transcript.name(), exchange.line);
        let Exchange { connection, bytes, mark, replies, fetches, closes, .. } = exchange;
        assert_eq!(fetches, 0, "{place}: asks an upstream, whose answers are scripted: mark it `live no`");
        let replies = replies.unwrap_or_else(|| panic!("{place}: a reply is left open: mark it `live no`"));
        let client = clients.entry(connection).or_insert_with(|| herd.client("Riley"));
        client.send(&bytes);
        if mark == Mark::End {
            client.end();
        }
        let mut received = vec![];
        for _ in 0..replies.iter().filter(|&&byte| byte == b'\n').count() {
            received.extend(client.line_bytes());
        }
        assert_eq!(masked(&received), masked(&replies), "{place}");
        if mark == Mark::End || closes {
            assert_eq!(client.rest().escape_ascii().to_string(), "", "{place}: bytes after the last reply");
            clients.remove(&connection);
        }
    }
    // No bytes may follow the last reply.
    for (_, mut client) in clients {
        client.end();
        assert_eq!(client.rest().escape_ascii().to_string(), "", "{}: bytes after the last reply", transcript.name());
    }
}

/// Replies by line, escaped, with the skew of `AT` lines masked.
fn masked(replies: &[u8]) -> Vec<String> {
    let mask = |line: &[u8]| match &*line.split(|&byte| byte == b' ').collect::<Vec<_>>() {
        [b"AT", node, _, rest @ ..] => [&[&b"AT"[..], node, b"(skew)"], rest].concat().join(&b' '),
        _ => line.to_vec(),
    };
    replies.split_inclusive(|&byte| byte == b'\n').map(|line| mask(line).escape_ascii().to_string()).collect()
}

/// Least number of transcripts that can be replayed: a slip in the format must not skip all of them unnoticed.
const LIVE_MIN: usize = 10;

const REPLIES: &str = "replies compared; --effects compares every effect";
const EFFECTS: &str = "every effect compared";
