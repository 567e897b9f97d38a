//! Client against fake nodes.

use std::time::Duration;

use crate::fake::Reaction::{Close, Send, Silence};
use crate::fake::{FakeNode, answer};
use crate::{At, CallError, HerdClient, InvalidArgument, NodeFailure, Options, Report, Retry, Status};

fn client(nodes: &[&FakeNode]) -> HerdClient {
    client_with(nodes, Options::default())
}

fn client_with(nodes: &[&FakeNode], options: Options) -> HerdClient {
    let addresses: Vec<_> = nodes.iter().map(|node| node.address.as_str()).collect();
    HerdClient::new(&addresses, options).unwrap()
}

fn report(number: u32) -> Report {
    Report::at(&format!("kiwi-{number}"), 34.5, -118.25, u128::from(number)).unwrap()
}

/// Makes this many reports at the same time and returns their outcomes.
async fn reports(herd: &HerdClient, count: u32) -> Vec<Result<At, CallError>> {
    let calls = (0..count).map(|number| {
        let herd = herd.clone();
        tokio::spawn(async move { herd.report(&report(number)).await })
    });
    let mut outcomes = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        outcomes.push(call.await.unwrap());
    }
    outcomes
}

#[tokio::test]
async fn calls_are_pipelined_on_one_connection_and_answered_in_order() {
    // The node is silent until it has all lines, so the client must not wait for an answer before it sends the next one.
    let mut answers = String::new();
    let node = FakeNode::start(move |number, line| {
        answers += &answer("Riley", line);
        if number == 99 { Send(std::mem::take(&mut answers)) } else { Silence }
    })
    .await;
    let herd = client(&[&node]);
    for (number, at) in reports(&herd, 100).await.into_iter().enumerate() {
        assert_eq!(at.unwrap().client, format!("kiwi-{number}"));
    }
}

#[tokio::test]
async fn fail_over_makes_the_unanswered_calls_again_unchanged() {
    // Fails with its eleventh line, when it has answered ten.
    let failing =
        FakeNode::start(|number, line| if number < 10 { Send(answer("A", line)) } else { Close(String::new()) }).await;
    let good = FakeNode::good("B").await;
    let herd = client(&[&failing, &good]);
    let answers: Vec<At> = reports(&herd, 50).await.into_iter().map(Result::unwrap).collect();
    let by_failing = answers.iter().filter(|at| at.node == "A").count();
    assert_eq!((by_failing, answers.len()), (10, 50));
    assert_eq!(good.received().len(), 40);
    assert!(good.received().contains(&report(49).to_string()));
    assert_eq!(herd.node(), good.address, "later calls use the node that answered");
}

#[tokio::test]
async fn fail_over_leaves_a_node_that_hangs_or_refuses_connections() {
    let hanging = FakeNode::start(|_, _| Silence).await;
    let good = FakeNode::good("B").await;
    let options = Options { answer_timeout: Duration::from_millis(50), ..Options::default() };
    let herd = client_with(&[&hanging, &good], options);
    assert_eq!(herd.report(&report(1)).await.unwrap().node, "B");
    // Its listener is closed with it.
    let address = FakeNode::good("gone").await.address;
    let herd = HerdClient::new(&[&address, &good.address], Options::default()).unwrap();
    assert_eq!(herd.report(&report(2)).await.unwrap().node, "B");
}

#[tokio::test]
async fn fail_over_comes_back_to_a_node_that_restarts() {
    // Closes each connection after one answer, as `close_after_reply` does.
    let node = FakeNode::start(|_, line| Close(answer("A", line))).await;
    let herd = client(&[&node]);
    assert!(reports(&herd, 4).await.into_iter().all(|at| at.is_ok()));
}

#[tokio::test]
async fn report_that_is_refused_is_made_again_elsewhere_and_the_node_kept() {
    let full = FakeNode::start(|_, line| Send(format!("? {line}\n"))).await;
    let good = FakeNode::good("B").await;
    let herd = client(&[&full, &good]);
    assert_eq!(herd.report(&report(1)).await.unwrap().node, "B");
    assert_eq!([full.received(), good.received()], [[report(1).to_string()], [report(1).to_string()]]);
    assert_eq!(herd.node(), full.address);
    let herd = client_with(&[&full], Options { attempts_max: 3, ..Options::default() });
    let refused = herd.report(&report(2)).await.unwrap_err();
    assert!(matches!(&refused, CallError::NotConfirmed { client, attempts: 3 } if client == "kiwi-2"), "{refused}");
}

#[tokio::test]
async fn whats_at_has_typed_places_and_none_for_an_unknown_client() {
    let (first, second) = (FakeNode::good("A").await, FakeNode::good("B").await);
    let herd = client(&[&first, &second]);
    let answer = herd.whats_at("kiwi", 2.5, 3).await.unwrap().unwrap();
    assert_eq!((answer.at.node.as_str(), answer.at.longitude), ("A", -118.0));
    assert_eq!(answer.places().unwrap().status, Status::ZeroResults);
    assert!(herd.whats_at("lost", 0.0, 0).await.unwrap().is_none());
    assert_eq!(second.received(), ["WHATSAT lost 0 0"], "a second node is asked before a client is unknown");
    let places: crate::Places = serde_json::from_str(
        r#"{"results": [{"name": "x", "geometry": {"location": {"lat": 1, "lng": 2.5}}, "other": [1]}], "status": "OVER_QUERY_LIMIT"}"#,
    )
    .unwrap();
    assert_eq!(places.results[0].location(), Some((1.0, 2.5)));
    assert_eq!(places.status, Status::Failed("OVER_QUERY_LIMIT".into()));
}

#[tokio::test]
async fn request_that_may_have_been_performed_is_repeated_only_on_demand() {
    let failing = FakeNode::start(|_, _| Close(String::new())).await;
    let good = FakeNode::good("B").await;
    let herd = client(&[&failing, &good]);
    let interrupted = herd.request("SET a 1", Retry::IfUnsent).await.unwrap_err();
    assert!(matches!(interrupted, CallError::Interrupted { .. }), "{interrupted}");
    assert!(good.received().is_empty());
    let herd = client(&[&failing, &good]);
    assert_eq!(herd.request("GET a", Retry::Always).await.unwrap(), "? GET a");
    let invalid = herd.request("two\nlines", Retry::Always).await.unwrap_err();
    assert!(matches!(invalid, CallError::Invalid(InvalidArgument::Line)));
}

#[tokio::test]
async fn call_that_each_node_fails_by_ends_after_its_attempts() {
    let nodes =
        [FakeNode::start(|_, _| Close(String::new())).await, FakeNode::start(|_, _| Close(String::new())).await];
    let herd = client_with(&[&nodes[0], &nodes[1]], Options { attempts_max: 3, ..Options::default() });
    let failed = herd.report(&report(1)).await.unwrap_err();
    assert!(matches!(failed, CallError::Failed { attempts: 3, .. }), "{failed}");
    assert_eq!(nodes.iter().map(|node| node.received().len()).sum::<usize>(), 3);
}

#[tokio::test]
async fn call_says_at_its_end_which_node_failed_last_and_why() {
    let address = FakeNode::good("gone").await.address;
    let options = Options { call_timeout: Duration::from_millis(60), ..Options::default() };
    let herd = HerdClient::new(&[&address], options).unwrap();
    let error = herd.report(&report(1)).await.unwrap_err().to_string();
    assert!(error.starts_with("no answer within 60ms of any node, last ") && error.contains(&address), "{error}");
}

#[tokio::test]
async fn answer_of_another_line_is_never_taken_for_that_of_a_report() {
    let confused = FakeNode::start(|_, _| Send("AT A +0.5 somebody +1+2 3\n".into())).await;
    let good = FakeNode::good("B").await;
    let herd = client(&[&confused, &good]);
    assert_eq!(herd.report(&report(1)).await.unwrap().node, "B");
    assert_eq!(herd.whats_at("kiwi", 1.0, 1).await.unwrap().unwrap().at.node, "B");
}

#[tokio::test]
async fn token_is_the_first_line_and_its_refusal_is_told() {
    let strict = FakeNode::start(|_, line| match line {
        "TOKEN right" => Silence,
        "TOKEN wrong" => Close("? TOKEN\n".into()),
        _ => Send(answer("A", line)),
    })
    .await;
    let options = |token: &str| Options { token: Some(token.into()), attempts_max: 2, ..Options::default() };
    client_with(&[&strict], options("right")).report(&report(1)).await.unwrap();
    assert_eq!(strict.received()[0], "TOKEN right");
    let refused = client_with(&[&strict], options("wrong")).report(&report(1)).await.unwrap_err();
    let CallError::Failed { last, .. } = &refused else { panic!("{refused}") };
    assert!(matches!(*last.failure, NodeFailure::TokenRefused), "{refused}");
    assert!(HerdClient::new(&[&strict.address], options("two words")).is_err());
}

fn pushed(seconds: u32) -> String {
    format!("AT A +0.500000000 kiwi +34-118 {seconds}\n")
}

#[tokio::test]
async fn watch_subscribes_again_at_another_node_and_leaves_out_what_is_older() {
    let first = FakeNode::start(|_, line| match line {
        "WATCH kiwi" => Close(format!("OK\n{}{}", pushed(1), pushed(3))),
        _ => Close(String::new()),
    })
    .await;
    // Behind at first, as a node that has been away.
    let second = FakeNode::start(|_, _| Send(format!("OK\n{}{}{}", pushed(2), pushed(3), pushed(4)))).await;
    let herd = client(&[&first, &second]);
    let mut watch = herd.watch(&["kiwi"]).unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(watch.next().await.unwrap().unix_ns / 1_000_000_000);
    }
    assert_eq!(seen, [1, 3, 4]);
    assert_eq!(second.received(), ["WATCH kiwi"]);
}

#[tokio::test]
async fn watch_probes_a_silent_node_and_leaves_it_when_it_hangs() {
    let hanging = FakeNode::start(|number, _| if number == 0 { Send("OK\n".into()) } else { Silence }).await;
    let good = FakeNode::start(|_, _| Send(format!("OK\n{}", pushed(1)))).await;
    let wait = Duration::from_millis(50);
    let herd =
        client_with(&[&hanging, &good], Options { answer_timeout: wait, probe_after: wait, ..Options::default() });
    let at = herd.watch(&["kiwi"]).unwrap().next().await.unwrap();
    assert_eq!((at.unix_ns, hanging.received().len()), (1_000_000_000, 2));
}

#[tokio::test]
async fn watch_at_nodes_without_subscriptions_says_so() {
    let (first, second) = (FakeNode::good("A").await, FakeNode::good("B").await);
    let mut watch = client(&[&first, &second]).watch(&["kiwi"]).unwrap();
    assert!(matches!(watch.next().await, Err(CallError::NoSubscriptions)));
    assert_eq!([first.received().len(), second.received().len()], [1, 1]);
}

#[test]
fn report_is_written_as_the_protocol_wants_it() {
    let line = |latitude, longitude, ns| Report::at("kiwi", latitude, longitude, ns).unwrap().to_string();
    assert_eq!(line(34.06893, -118.445127, 1_500_000_001), "IAMAT kiwi +34.06893-118.445127 1.500000001");
    assert_eq!(line(-90.0, 180.0, 0), "IAMAT kiwi -90+180 0.000000000");
    for line in [line(1e-300, -0.0, 10_u128.pow(27) - 1), line(f64::MIN_POSITIVE, 1.234_567_890_123_456_7e-14, 1)] {
        let location = line.split(' ').nth(2).unwrap();
        assert!(herd_logic::Location::parse(location.as_bytes()).is_some(), "{line}");
    }
    for name in ["", "two words", "new\nline", &"x".repeat(1025)] {
        assert!(matches!(Report::now(name, 0.0, 0.0), Err(InvalidArgument::Client(_))), "{name}");
    }
    for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.5), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
        assert!(matches!(Report::now("kiwi", latitude, longitude), Err(InvalidArgument::Location { .. })));
    }
    assert_eq!(Report::at("kiwi", 0.0, 0.0, 10_u128.pow(27)), Err(InvalidArgument::Time(10_u128.pow(27))));
}

#[tokio::test]
async fn arguments_that_the_protocol_has_no_place_for_send_nothing() {
    let node = FakeNode::good("A").await;
    let herd = client(&[&node]);
    for (radius_km, bound) in [(50.5, 1), (-1.0, 1), (f64::NAN, 1), (1.0, 21)] {
        let refused = herd.whats_at("kiwi", radius_km, bound).await;
        assert!(matches!(refused, Err(CallError::Invalid(_))), "{radius_km} {bound}");
    }
    assert!(herd.watch(&[""; 0]).is_err());
    assert!(HerdClient::new(&["127.0.0.1"], Options::default()).unwrap_err().to_string().contains("no port"));
    assert!(matches!(HerdClient::new(&[""; 0], Options::default()), Err(InvalidArgument::NoNode)));
    assert!(node.received().is_empty());
}
