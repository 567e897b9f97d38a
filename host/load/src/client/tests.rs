//! Client against fake nodes.

use super::error::ClientError;
use super::exchange::{JSON_BYTES_MAX, REPLY_LINE_BYTES_MAX};
use super::fake::FakeNode;
use super::*;

const WAIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_answer_is_split_into_its_line_and_its_json() {
    let node = FakeNode::start(|_| Some("AT N +0.1 c +1+2 3\n{\n \"a\": 1\n}\n\n".into())).await;
    let mut client = Client::connect(node.addr, WAIT).await.unwrap();
    for _ in 0..2 {
        let WhatsAtReply::Known(answer) = client.whats_at("c", 0.5, 3).await.unwrap() else { panic!("invalid") };
        assert_eq!(answer.at_line, "AT N +0.1 c +1+2 3");
        assert_eq!(answer.json, "{\n \"a\": 1\n}");
        assert!(answer.has_object());
    }
    assert_eq!(node.asked(), ["WHATSAT c 0.5 3", "WHATSAT c 0.5 3"]);
}

#[tokio::test]
async fn an_invalid_question_has_no_json() {
    let node = FakeNode::start(|line| Some(format!("? {line}\n"))).await;
    let mut client = Client::connect(node.addr, WAIT).await.unwrap();
    let reply = client.whats_at("c", 0.0, 0).await.unwrap();
    assert_eq!(reply, WhatsAtReply::Invalid("? WHATSAT c 0 0".into()));
    assert_eq!(client.request("HELLO").await.unwrap(), "? HELLO");
}

#[tokio::test]
async fn a_server_of_another_kind_is_named() {
    let node = FakeNode::start(|_| Some("HTTP/1.1 400 Bad Request\n".into())).await;
    let mut client = Client::connect(node.addr, WAIT).await.unwrap();
    let error = client.whats_at("c", 0.0, 0).await.unwrap_err();
    assert_eq!(error.to_string(), format!("unexpected answer from {}: \"HTTP/1.1 400 Bad Request\"", node.addr));
}

#[tokio::test]
async fn silence_is_a_timeout_and_ends_the_use_of_the_connection() {
    let node = FakeNode::start(|_| Some(String::new())).await;
    let mut client = Client::connect(node.addr, Duration::from_millis(20)).await.unwrap();
    assert!(matches!(client.request("IAMAT").await, Err(ClientError::AnswerTimeout { .. })));
    assert!(!client.is_usable());
    assert!(matches!(client.request("IAMAT").await, Err(ClientError::Closed { .. })));
}

#[tokio::test]
async fn a_close_before_an_answer_differs_from_one_within() {
    let node = FakeNode::start(|_| None).await;
    let mut client = Client::connect(node.addr, WAIT).await.unwrap();
    assert!(matches!(client.request("IAMAT").await, Err(ClientError::Closed { .. })));

    let node = FakeNode::start(|_| Some("AT N\n{\n!close".into())).await;
    let mut client = Client::connect(node.addr, WAIT).await.unwrap();
    assert!(matches!(client.whats_at("c", 0.0, 0).await, Err(ClientError::CutShort { .. })));
}

#[tokio::test]
async fn answers_over_the_limit_are_refused() {
    let node = FakeNode::start(|_| Some("a".repeat(REPLY_LINE_BYTES_MAX + 1))).await;
    let mut client = Client::connect(node.addr, WAIT).await.unwrap();
    let error = client.request("IAMAT").await.unwrap_err();
    assert!(matches!(error, ClientError::TooLong { part: "reply line", .. }), "{error}");

    let node = FakeNode::start(|_| Some(format!("AT N\n{}", "[]\n".repeat(JSON_BYTES_MAX / 3 + 1)))).await;
    let mut client = Client::connect(node.addr, WAIT).await.unwrap();
    let error = client.whats_at("c", 0.0, 0).await.unwrap_err();
    assert!(matches!(error, ClientError::TooLong { part: "JSON", .. }), "{error}");
}

#[tokio::test]
async fn a_node_that_is_down_is_named() {
    let node = FakeNode::start(|_| None).await;
    let addr = node.addr;
    drop(node);
    // The port is free again, or soon: a listener that is being torn down may still take one connection.
    loop {
        if let Err(error) = Client::connect(addr, WAIT).await {
            assert_eq!(error.to_string(), format!("cannot connect to {addr}"));
            break;
        }
        tokio::task::yield_now().await;
    }
}
