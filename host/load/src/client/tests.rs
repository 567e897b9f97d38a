//! Client against fake nodes.

use super::error::ClientError;
use super::exchange::{JSON_BYTES_MAX, REPLY_LINE_BYTES_MAX};
use super::fake::FakeNode;
use super::*;

const WAIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn whats_at_splits_the_answer_into_line_and_json() {
    let node = FakeNode::start(|_| Some("AT N +0.1 c +1+2 3\n{\n \"a\": 1\n}\n\n".into())).await;
    let mut client = Client::connect(node.addr, None, WAIT).await.unwrap();
    for _ in 0..2 {
        let WhatsAtReply::Known(answer) = client.whats_at("c", 0.5, 3).await.unwrap() else { panic!("invalid") };
        assert_eq!(answer.at_line, "AT N +0.1 c +1+2 3");
        assert_eq!(answer.json, "{\n \"a\": 1\n}");
        assert!(answer.has_object());
    }
    assert_eq!(node.received(), ["WHATSAT c 0.5 3", "WHATSAT c 0.5 3"]);
}

#[tokio::test]
async fn whats_at_of_an_unknown_client_has_no_json() {
    let node = FakeNode::start(|line| Some(format!("? {line}\n"))).await;
    let mut client = Client::connect(node.addr, None, WAIT).await.unwrap();
    let reply = client.whats_at("c", 0.0, 0).await.unwrap();
    assert_eq!(reply, WhatsAtReply::Invalid("? WHATSAT c 0 0".into()));
    assert_eq!(client.request("HELLO").await.unwrap(), "? HELLO");
}

#[tokio::test]
async fn whats_at_quotes_an_unexpected_answer() {
    let node = FakeNode::start(|_| Some("HTTP/1.1 400 Bad Request\n".into())).await;
    let mut client = Client::connect(node.addr, None, WAIT).await.unwrap();
    let error = client.whats_at("c", 0.0, 0).await.unwrap_err();
    assert_eq!(error.to_string(), format!("unexpected answer from {}: \"HTTP/1.1 400 Bad Request\"", node.addr));
}

#[tokio::test]
async fn client_is_unusable_after_a_timeout() {
    let node = FakeNode::start(|_| Some(String::new())).await;
    let mut client = Client::connect(node.addr, None, Duration::from_millis(20)).await.unwrap();
    assert!(matches!(client.request("IAMAT").await, Err(ClientError::AnswerTimeout { .. })));
    assert!(!client.is_usable());
    assert!(matches!(client.request("IAMAT").await, Err(ClientError::Closed { .. })));
}

#[tokio::test]
async fn close_before_an_answer_differs_from_one_within() {
    let node = FakeNode::start(|_| None).await;
    let mut client = Client::connect(node.addr, None, WAIT).await.unwrap();
    assert!(matches!(client.request("IAMAT").await, Err(ClientError::Closed { .. })));

    let node = FakeNode::start(|_| Some("AT N\n{\n!close".into())).await;
    let mut client = Client::connect(node.addr, None, WAIT).await.unwrap();
    assert!(matches!(client.whats_at("c", 0.0, 0).await, Err(ClientError::CutShort { .. })));
}

#[tokio::test]
async fn answer_over_its_limit_is_refused() {
    let node = FakeNode::start(|_| Some("a".repeat(REPLY_LINE_BYTES_MAX + 1))).await;
    let mut client = Client::connect(node.addr, None, WAIT).await.unwrap();
    let error = client.request("IAMAT").await.unwrap_err();
    assert!(matches!(error, ClientError::TooLong { part: "reply line", .. }), "{error}");

    let node = FakeNode::start(|_| Some(format!("AT N\n{}", "[]\n".repeat(JSON_BYTES_MAX / 3 + 1)))).await;
    let mut client = Client::connect(node.addr, None, WAIT).await.unwrap();
    let error = client.whats_at("c", 0.0, 0).await.unwrap_err();
    assert!(matches!(error, ClientError::TooLong { part: "JSON", .. }), "{error}");
}

#[tokio::test]
async fn connect_names_a_node_that_is_down() {
    let node = FakeNode::start(|_| None).await;
    let addr = node.addr;
    drop(node);
    // The port is free again, or soon: a listener that is being torn down may still take one connection.
    loop {
        if let Err(error) = Client::connect(addr, None, WAIT).await {
            assert_eq!(error.to_string(), format!("cannot connect to {addr}"));
            break;
        }
        tokio::task::yield_now().await;
    }
}
