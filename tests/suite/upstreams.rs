//! Upstreams: every failure of the places service, and requests that must not be sent.

use herd_tests::{Behaviour, Herd, Places};

/// Goal: whatever the service does, the client gets its `AT` line and JSON with a status, other sessions go on, and the key appears
/// only in the request. Method: a stand-in that goes through every failure, then recovers.
#[test]
fn upstream_failure_costs_only_the_places() {
    let herd = Herd::of_one().with("upstreams.google-legacy.timeout_ms=300");
    let up = herd.up();
    let mut kiwi = herd.client("Riley");
    let at = kiwi.ask("IAMAT kiwi +34-118 1");
    let cases = [
        (Behaviour::Status(500), "google-legacy: HTTP 500"),
        (Behaviour::Status(403), "google-legacy: HTTP 403"),
        (Behaviour::Redirect, "google-legacy: HTTP 302"),
        (Behaviour::Half, "google-legacy: answer broke off"),
        (Behaviour::Close, "google-legacy: answer broke off"),
        (Behaviour::NotJson, "google-legacy: answer is not a Nearby Search answer"),
        (Behaviour::Huge, "google-legacy: answer too large"),
        (Behaviour::Held, "google-legacy: timeout"),
    ];
    for (behaviour, message) in cases {
        herd.places().behave(behaviour.clone());
        let asked = herd.places().requests().len();
        kiwi.send("WHATSAT kiwi 10 5\n");
        herd.places().await_requests(asked + 1);
        assert!(herd.client("Riley").ask("IAMAT other +34-118 1").starts_with("AT Riley "), "{behaviour:?}");
        assert_eq!(kiwi.line(), at, "{behaviour:?}");
        let text = kiwi.json();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["status"], &json["results"]), (&"UNKNOWN_ERROR".into(), &serde_json::json!([])), "{json}");
        assert_eq!(json["error_message"], message, "{behaviour:?}");
        assert!(!text.contains(Places::SECRET), "{text}");
    }
    herd.places().behave(Behaviour::Results(7));
    let (_, json) = kiwi.ask_places("WHATSAT kiwi 10 5");
    assert_eq!(json.unwrap()["results"].as_array().unwrap().len(), 5);
    let request = herd.places().requests().pop().unwrap();
    assert_eq!((&*request.method, request.target.contains(&format!("key={}", Places::SECRET))), ("GET", true));
    assert!(!up.log().contains(Places::SECRET));
    assert!(!herd.status("Riley").to_string().contains(Places::SECRET));
}

#[test]
fn invalid_command_sends_no_upstream_request() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut kiwi = herd.client("Riley");
    let _ = kiwi.ask("IAMAT kiwi +34-118 1");
    for line in
        ["WHATSAT kiwi 51 5", "WHATSAT kiwi 10 21", "WHATSAT nobody 10 5", "WHATSAT kiwi -1 5", "WHATSAT kiwi 10"]
    {
        assert_eq!(kiwi.ask(line), format!("? {line}"));
    }
    assert!(herd.places().requests().is_empty());
}
