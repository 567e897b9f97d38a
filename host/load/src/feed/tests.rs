//! Feeds against fake nodes, and tests of the pure parts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::due::DUE_MAX;
use super::*;
use crate::client::ClientError;
use crate::client::fake::FakeNode;

/// Records of a herd of fake nodes: the last `AT` line by client.
#[derive(Clone, Default)]
struct Herd(Arc<Mutex<HashMap<String, String>>>);

impl Herd {
    /// Accepts a report as node `A` would.
    fn iamat(&self, line: &str) -> String {
        let fields = line.strip_prefix("IAMAT ").unwrap();
        let at_line = format!("AT A -0.000000001 {fields}");
        let client = fields.split(' ').next().unwrap().to_owned();
        self.0.lock().unwrap().insert(client, at_line.clone());
        format!("{at_line}\n")
    }

    fn whatsat(&self, line: &str) -> String {
        let client = line.split(' ').nth(1).unwrap();
        match self.0.lock().unwrap().get(client) {
            Some(at_line) => format!("{at_line}\n{{\"results\": []}}\n\n"),
            None => format!("? {line}\n"),
        }
    }

    fn answer(&self, line: &str) -> String {
        if line.starts_with("IAMAT") { self.iamat(line) } else { self.whatsat(line) }
    }
}

/// For answers that arrive, with room for a loaded machine.
const LONG: Timeouts = Timeouts { answer: Duration::from_secs(20), visible: Duration::from_secs(20) };

/// For answers that never arrive.
const SHORT: Timeouts = Timeouts { answer: Duration::from_secs(20), visible: Duration::from_millis(20) };

fn points(count: usize) -> Vec<TrackPoint> {
    let point = |index| TrackPoint { latitude_degrees: index as f64 / 8.0, longitude_degrees: -0.0, time_ns: None };
    (0..count).map(point).collect()
}

fn options(points: Vec<TrackPoint>, nodes: &[&FakeNode]) -> Feed {
    let named = |(index, node): (usize, &&FakeNode)| NodeAddr {
        name: char::from(b'A' + index as u8).to_string(),
        addr: node.addr,
    };
    let nodes: Vec<_> = nodes.iter().enumerate().map(named).collect();
    Feed { points, client: "kiwi".into(), speed: 0.0, to: nodes[0].clone(), nodes, tls: None, progress: false }
}

#[tokio::test]
async fn feed_to_a_good_herd_succeeds() {
    let herd = Herd::default();
    let shared = herd.clone();
    let a = FakeNode::start(move |line| Some(herd.answer(line))).await;
    let b = FakeNode::start(move |line| Some(shared.answer(line))).await;
    let report = replay(options(points(3), &[&a, &b]), LONG).await.unwrap();
    assert!(report.is_success(), "{report}");
    assert_eq!((report.sent, report.accepted, report.wrong), (3, 3, 0));
    assert_eq!(report.nodes.iter().map(|node| node.visible).collect::<Vec<_>>(), [3, 3]);

    // The lines are those of the recording, in order, and the times increase.
    let sent: Vec<_> = a.received().into_iter().filter(|line| line.starts_with("IAMAT")).collect();
    let fields: Vec<Vec<&str>> = sent.iter().map(|line| line.split(' ').collect()).collect();
    let places: Vec<_> = fields.iter().map(|fields| fields[2]).collect();
    assert_eq!(places, ["+0.000000+0.000000", "+0.125000+0.000000", "+0.250000+0.000000"]);
    assert!(fields.is_sorted_by(|a, b| a[3] < b[3]), "{sent:?}");
}

#[tokio::test]
async fn answer_with_other_fields_is_wrong_and_not_polled_for() {
    let herd = Herd::default();
    let node = FakeNode::start(move |line| Some(herd.answer(line).replace("+0.125000", "+0.125"))).await;
    let report = replay(options(points(3), &[&node]), LONG).await.unwrap();
    assert_eq!((report.sent, report.accepted, report.wrong), (3, 2, 1));
    assert_eq!(report.nodes[0].visible, 2);
    assert!(report.wrong_answers[0].contains(" kiwi +0.125+0.000000 "), "{report}");
    assert!(!report.is_success());
}

#[tokio::test]
async fn node_that_shows_a_report_late_is_polled_again() {
    let herd = Herd::default();
    let mut polls = 0;
    let node = FakeNode::start(move |line| {
        if line.starts_with("IAMAT") {
            return Some(herd.iamat(line));
        }
        polls += 1;
        Some(if polls < 3 { format!("? {line}\n") } else { herd.whatsat(line) })
    })
    .await;
    let report = replay(options(points(1), &[&node]), LONG).await.unwrap();
    assert!(report.is_success(), "{report}");
    assert_eq!(node.received().len(), 1 + 3);
}

#[tokio::test]
async fn node_that_never_shows_a_report_fails_the_feed_but_does_not_end_it() {
    let herd = Herd::default();
    let a = FakeNode::start(move |line| Some(herd.answer(line))).await;
    let b = FakeNode::start(|line| Some(format!("? {line}\n"))).await;
    let silent = FakeNode::start(|_| Some(String::new())).await;
    let report = replay(options(points(2), &[&a, &b, &silent]), SHORT).await.unwrap();
    assert_eq!((report.sent, report.accepted), (2, 2));
    assert_eq!((report.nodes[1].visible, report.nodes[1].missed), (0, 2));
    assert_eq!((report.nodes[2].visible, report.nodes[2].max_ms), (0, None));
    assert!(!report.is_success());
}

#[tokio::test]
async fn node_that_is_down_is_reported_with_its_reason() {
    let herd = Herd::default();
    let a = FakeNode::start(move |line| Some(herd.answer(line))).await;
    let b = FakeNode::start(|_| None).await;
    let report = replay(options(points(1), &[&a, &b]), SHORT).await.unwrap();
    let failure = report.nodes[1].failure.as_deref().unwrap();
    assert!(failure.contains(&b.addr.to_string()), "{failure}");
    assert!(!report.is_success());
}

#[tokio::test]
async fn node_that_closes_after_each_reply_is_supported() {
    let herd = Herd::default();
    let node = FakeNode::start(move |line| Some(format!("{}!close", herd.answer(line)))).await;
    let report = replay(options(points(3), &[&node]), LONG).await.unwrap();
    assert_eq!((report.accepted, report.nodes[0].visible), (3, 3), "{report}");
}

#[tokio::test]
async fn feed_ends_when_the_receiver_is_silent() {
    let node = FakeNode::start(|_| Some(String::new())).await;
    let timeouts = Timeouts { answer: Duration::from_millis(20), ..LONG };
    let error = replay(options(points(2), &[&node]), timeouts).await.unwrap_err();
    assert_eq!(error.to_string(), "A did not answer report 1");
    assert!(matches!(error, FeedError::Unanswered { source: ClientError::AnswerTimeout { .. }, .. }));
}

#[tokio::test]
async fn invalid_feed_is_refused_before_anything_is_sent() {
    let node = FakeNode::start(|_| None).await;
    assert!(matches!(replay(options(vec![], &[&node]), LONG).await, Err(FeedError::NoPoints)));
    for client in ["", "a b", "a\n", "\u{b}"] {
        let options = Feed { client: client.into(), ..options(points(1), &[&node]) };
        assert!(matches!(replay(options, LONG).await, Err(FeedError::ClientId { .. })), "{client:?}");
    }
    for speed in [-1.0, f64::NAN, f64::INFINITY] {
        let options = Feed { speed, ..options(points(1), &[&node]) };
        assert!(matches!(replay(options, LONG).await, Err(FeedError::Speed { .. })), "{speed}");
    }
    assert!(node.received().is_empty());
}

#[test]
fn client_clock_follows_the_time_and_strictly_increases() {
    let mut clock = ClientClock::default();
    let now = Duration::new(1_700_000_000, 5);
    assert_eq!(clock.stamp(now), "1700000000.000000005");
    assert_eq!(clock.stamp(now), "1700000000.000000006");
    assert_eq!(clock.stamp(now - Duration::from_secs(9)), "1700000000.000000007");
    assert_eq!(clock.stamp(now + Duration::from_secs(1)), "1700000001.000000005");
}

#[test]
fn points_are_due_as_recorded_divided_by_the_speed() {
    let at = |seconds: Option<i128>| TrackPoint {
        latitude_degrees: 0.0,
        longitude_degrees: 0.0,
        time_ns: seconds.map(|seconds| seconds * 1_000_000_000),
    };
    let track = [None, Some(10), Some(14), None, Some(12), Some(14), Some(15)].map(at);
    let millis = |speed| due_after(&track, speed).into_iter().map(|due| due.as_millis() as u64).collect::<Vec<_>>();
    assert_eq!(millis(1.0), [0, 0, 4000, 4000, 4000, 4000, 5000]);
    assert_eq!(millis(8.0), [0, 0, 500, 500, 500, 500, 625]);
    assert_eq!(millis(0.0), [0; 7]);
    assert_eq!(due_after(&track, f64::MIN_POSITIVE).last(), Some(&DUE_MAX));
}

#[test]
fn at_line_must_match_exactly() {
    let fields = "kiwi +1-2 3.5";
    let accepted = |line: &str| is_at_line(line, "A", fields);
    assert!(accepted("AT A +0.000000000 kiwi +1-2 3.5"));
    assert!(accepted("AT A -1000.000312500 kiwi +1-2 3.5"));
    for wrong in [
        "AT B +0.000000000 kiwi +1-2 3.5",
        "AT A 0.000000000 kiwi +1-2 3.5",
        "AT A +0.0 kiwi +1-2 3.5",
        "AT A +.000000000 kiwi +1-2 3.5",
        "AT A +0.000000000 kiwi +1-2 3.50",
        "AT A +0.000000000 xkiwi +1-2 3.5",
        "AT A +0.000000000  kiwi +1-2 3.5",
        "AT A  kiwi +1-2 3.5",
        "AT A kiwi +1-2 3.5",
        "? IAMAT kiwi +1-2 3.5",
        "",
    ] {
        assert!(!accepted(wrong), "{wrong}");
    }
}

#[test]
fn speed_is_a_number_or_max() {
    assert_eq!(parse_speed("max"), Ok(0.0));
    assert_eq!(parse_speed("0"), Ok(0.0));
    assert_eq!(parse_speed("2.5"), Ok(2.5));
    for wrong in ["", "fast", "-1", "nan", "inf"] {
        assert!(parse_speed(wrong).is_err(), "{wrong}");
    }
}
