//! Transcripts of a small guest that uses every effect.

mod format;
mod herds;
mod patterns;

use std::sync::Arc;

use super::*;
use crate::batch::InputBatch;
use crate::context::Context;
use crate::decision::Decision;
use crate::effect::{Effect, Level};
use crate::event::{Awaiting, Input, Mark, Moment, Outcome, Progress, Reports};
use crate::logic::{BadSetting, Description, Logic};
use crate::native::{Fault, Native};

/// Handles `put KEY RANK RECORD`, `get KEY`, `ask UPSTREAM`, `on TOPIC` and `bye`. After `raw` it awaits four bytes.
struct Toy;

impl Logic for Toy {
    fn describe() -> Description {
        Description::default()
    }

    fn configure(_: &Settings) -> Result<Self, BadSetting> {
        Ok(Self)
    }

    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
        if input.bytes == b"raw\n" {
            return Progress { consumed: 4, awaits: Awaiting::Bytes(4) };
        }
        input.lines(|line| {
            let mut words = line.split(|&byte| byte == b' ');
            let mut word = || words.next().unwrap_or_default();
            match word() {
                b"put" => {
                    let (key, rank, record) = (word(), word(), word());
                    let peers = ["Jaquez", "Juzang"];
                    let keep = context.keep_telling_first(key, rank, 1, |out| out.extend_from_slice(record), &peers);
                    context.reply_if_kept(
                        keep,
                        |out| out.extend_from_slice(b"kept\n"),
                        |out| out.extend_from_slice(b"no\n"),
                    );
                    context.publish_if_kept(keep, key, record);
                }
                b"get" => context.reply(&context.record(word()).unwrap_or_default().bytes),
                b"ask" => context.fetch_post(&String::from_utf8_lossy(word()), "/q", b"body", b"token", b"sorry\n"),
                b"on" => context.subscribe(word()),
                b"bye" => context.close(),
                _ => context.note(Level::Warn, "what?"),
            }
        })
    }

    fn reports(&self, reports: Reports<'_>, context: &mut Context<'_>) {
        context.publish_if_report_kept(0, b"t", b"news");
        for (index, _) in reports.iter().enumerate().filter(|(_, report)| report.bytes == b"odd") {
            context.refuse(index);
        }
    }

    fn answer(&self, _: &[u8], otherwise: &[u8], outcome: Outcome<'_>, context: &mut Context<'_>) {
        match outcome {
            Outcome::Answered { status: 200, body } => context.reply(body),
            Outcome::Answered { .. } => context.fetch("second", "", b"", otherwise),
            Outcome::Failed(_) => context.reply(otherwise),
        }
    }
}

/// Fails every call: traps, or makes an invalid decision.
struct Broken;

impl Decider for Broken {
    fn inputs(&mut self, _: Moment, _: &InputBatch) -> Result<Decision, Fault> {
        Err("trapped: unreachable".into())
    }

    fn reports(&mut self, _: Moment, _: Reports<'_>) -> Result<Decision, Fault> {
        Ok(Decision { output: vec![], effects: [Effect::Refuse(9)].into_iter().collect() })
    }

    fn answer(&mut self, _: Moment, _: &[u8], _: &[u8], _: Outcome<'_>) -> Result<Decision, Fault> {
        Err("trapped".into())
    }
}

const EVERYTHING: &str = r#"# Everything that the toy can do.
set colour = blue    # unused
now 5

input "put k 2 old\nput k 1 older\n"
  keep "k", "old"
    form 1 rank 32 to "Jaquez", "Juzang"
  reply "kept\n"
    else "no\n"
  publish "k", "old" if kept
  # The second one is older.
  keep "k", "older" form 1 rank 31 to "Jaquez", * loses
  reply "kept\n" else "no\n"
  publish "k", "older" if kept

session alice
input "get"
  waits
input " kx\nget "
  reply ""
  left 4 awaits "\n"
input "k\non t\nbye\n"
  reply "old"
  subscribe "t"
  close

# A new session of the same name.
input "ask first\nask second\nget k\n?" end
  fetch post "first", "/q"
    body "body"
    token "token"
    else "sorry\n"
  fetch post "second", "/q"
    body "body"
    token "token"
    else "sorry\n"
  reply "old"
  note warn "what?"
answer 503 ""
  fetch get "second", ""
    token ""
    else "sorry\n"
answer from "second" 200 "2\n"
  reply "2\n"
answer failed timeout
  reply "sorry\n"
answer failed busy
  unasked

session bob
input "raw\n"
  left 0 awaits 4
input "abc"
  waits
input "\nget k\n"
  note warn "what?"
  reply "old"

report "k", "old" form 1 rank 32 origin "B"
  duplicate
report "k", "new" form 1 rank 33 origin "B"
    and "k", "odd" form 1 rank 34 origin "B"
  verdict keep
  verdict refuse
  publish "t", "news" if kept report 1
report "k", "late" form 1 rank 3309 origin "B"
  duplicate
input "get k\n" end
  reply "new"
input "" end
"#;

fn run(text: &str) -> Run {
    let records = Arc::new(MemoryRecords::default());
    Transcript::parse("t", text).unwrap().run(&mut Native::new(Toy, records.clone()), &records)
}

#[test]
fn run_writes_every_effect() {
    let run = run(EVERYTHING);
    assert!(run.passed(), "{run}");
    assert_eq!(run.actual(), EVERYTHING);
}

#[test]
fn run_records_a_transcript_without_expectations() {
    let is_event = |line: &&str| !line.starts_with("  ") || line.starts_with("    and");
    let bare: String = EVERYTHING.lines().filter(is_event).map(|line| format!("{line}\n")).collect();
    let recorded = run(&bare);
    assert!(!recorded.passed());
    let again = run(recorded.actual());
    assert!(again.passed(), "{again}");
    assert_eq!(again.actual(), recorded.actual());
    assert!(recorded.actual().contains("\n# A new session of the same name.\ninput"));
    assert!(recorded.actual().contains("  reply \"sorry\\n\"\nanswer failed busy\n  unasked\n\nsession bob\n"));
}

#[test]
fn difference_shows_the_event_and_both_sides() {
    let run = run("input \"get k\\nbye\\n\"\n  # Nothing there.\n  reply \"x\"\n  close   # why not\n  waits\n");
    assert_eq!(
        run.to_string(),
        "t:3\n  input \"get k\\nbye\\n\"\n-   reply \"x\"\n+   reply \"\"\n    close   # why not\n-   waits\n"
    );
    assert_eq!(run.actual(), "input \"get k\\nbye\\n\"\n  # Nothing there.\n  reply \"\"\n  close   # why not\n");
    assert_eq!((run.differences().len(), run.differences()[0].line), (1, 3));
}

fn replies(text: &str) -> Run {
    let records = Arc::new(MemoryRecords::default());
    let transcript = Transcript::parse("t", text).unwrap().comparing(Compared::Replies);
    transcript.run(&mut Native::new(Toy, records.clone()), &records)
}

#[test]
fn comparison_of_replies_ignores_records_requests_topics_and_notes() {
    let run = replies(
        "input \"put k 1 v\\n\"\n  reply \"kept\\n\"\ninput \"on t\\n?\\nget k\\nbye\\n\"\n  reply \"v\"\n  close\n",
    );
    assert!(run.passed(), "{run}");
    let run = replies(
        "input \"ask first\\n\"\n  fetch get \"other\", \"\" token \"\" else \"\"\nanswer 200 \"1\"\n  reply \"1\"\n",
    );
    assert!(run.passed(), "{run}");
    let run = replies("report \"k\", \"odd\" form 1 rank - origin \"B\"\n  verdict keep\n");
    assert!(run.passed(), "{run}");
}

#[test]
fn comparison_of_replies_joins_what_a_client_receives() {
    let split = "input \"put k 1 v\\nput l 1 w\\n\"\n  reply \"ke\"\n  reply \"pt\\nkept\\n\"\n  reply \"\"\n";
    assert!(replies(split).passed(), "{}", replies(split));
    let starred = "input \"put k 1 v\\nput l 1 w\\n\"\n  reply *\n  reply \"kept\\n\"\n";
    assert!(replies(starred).passed(), "{}", replies(starred));
}

#[test]
fn comparison_of_replies_finds_other_bytes_another_order_and_a_close() {
    let run = replies(
        "input \"put k 1 v\\nask first\\nbye\\n\"\n  # Comment.\n  fetch get *, * token * else *\n  reply \"kept\\n\"\n",
    );
    assert_eq!(
        run.to_string(),
        "t:3\n  input \"put k 1 v\\nask first\\nbye\\n\"\n-   fetch\n    reply \"kept\\n\"\n+   fetch\n+   close\n"
    );
    assert!(run.actual().contains("  # Comment.\n  keep \"k\", \"v\""), "{}", run.actual());
    let fault = Transcript::parse("t", "input \"x\\n\"\n").unwrap().comparing(Compared::Replies);
    assert!(!fault.run(&mut Broken, &MemoryRecords::default()).passed());
}

#[test]
fn run_writes_faults_as_lines() {
    let text = "\
        input \"x\\n\"\n  fault \"trapped: unreachable\"\n\
        report \"k\", \"r\" form 1 rank - origin \"B\"\n  fault \"effect 1 refuses a report that is not in the batch\"\n\
        report \"k\", \"r\" form 1 rank - origin \"B\"\n  duplicate\n";
    let run = Transcript::parse("t", text).unwrap().run(&mut Broken, &MemoryRecords::default());
    assert!(run.passed(), "{run}");
}

#[test]
fn exchanges_have_replies_in_the_order_of_commands() {
    let transcript = Transcript::parse("t", EVERYTHING).unwrap();
    assert_eq!(transcript.not_live(), Some("holds reports of a peer"));
    let exchanges = transcript.exchanges();
    let connections: Vec<usize> = exchanges.iter().map(|exchange| exchange.connection).collect();
    assert_eq!(connections, [0, 1, 1, 1, 2, 3, 3, 3, 3, 4]);
    assert_eq!(exchanges[0].replies.as_deref(), Some(&b"kept\nkept\n"[..]));
    assert!(exchanges[3].closes && !exchanges[2].closes && !exchanges[4].closes);
    assert_eq!((exchanges[4].mark, exchanges[4].fetches), (Mark::End, 3));
    assert_eq!(exchanges[4].replies.as_deref(), Some(&b"sorry\n2\nold"[..]));
    let upstreams: Vec<&[u8]> = exchanges[4].answers.iter().map(|(upstream, _)| &**upstream).collect();
    assert_eq!(upstreams, [&b"first"[..], b"second", b"second"]);
    let starred = Transcript::parse("t", "input \"x\"\n  reply *\n").unwrap();
    assert_eq!(starred.exchanges()[0].replies, None);
}
