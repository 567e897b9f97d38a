//! Names under which clients may report, by the token of their session.

use herd_model::Digest;
use herd_tests::Herd;

const KIWI: &str = "IAMAT kiwi +34.068930-118.445127 1";

/// A node whose sessions with the token `secret` may report as `kiwi` and `truck-*`, and those without a token as `guest-*`.
fn guarded() -> Herd {
    Herd::of_one()
        .with(&format!("sessions.reporters.fleet.token_sha256={}", Digest::of(b"secret")))
        .with("sessions.reporters.fleet.clients=[\"kiwi\", \"truck-*\"]")
        .with("sessions.reporters.guests.clients=[\"guest-*\"]")
}

/// Goal: the names of each session are its own, also within one call for many. Method: both sessions send before either reads.
#[test]
fn reporter_with_a_token_reports_under_its_names_and_under_no_other() {
    let herd = guarded();
    let up = herd.up();
    let (mut fleet, mut guest) = (herd.client("Riley"), herd.client("Riley"));
    let other = |name: &str| format!("IAMAT {name} +34.068930-118.445127 1");
    fleet.send(format!("TOKEN secret\n{KIWI}\n{}\n{}\nLLL\n", other("truck-7"), other("guest-1")));
    guest.send(format!("{}\n{}\nWHATSAT kiwi 1 0\n", other("guest-1"), other("truck-8")));
    assert!(fleet.line().starts_with("AT Riley ") && fleet.line().starts_with("AT Riley "));
    assert_eq!((fleet.line(), fleet.line()), (format!("? {}", other("guest-1")), "? LLL".into()));
    assert!(guest.line().starts_with("AT Riley "));
    assert_eq!(guest.line(), format!("? {}", other("truck-8")));
    assert!(herd.knows("Riley", "kiwi") && herd.knows("Riley", "guest-1") && !herd.knows("Riley", "truck-8"));
    assert_eq!(herd.status("Riley")["sessions"]["not_permitted"], 2);
    assert!(!up.log().contains("secret"));
}

#[test]
fn reporter_with_an_unknown_token_is_told_and_its_session_ends() {
    let herd = guarded();
    let _up = herd.up();
    let mut client = herd.client("Riley");
    client.send(format!("TOKEN wrong\n{KIWI}\n"));
    assert_eq!(client.rest(), b"? TOKEN\n");
    assert!(!herd.knows("Riley", "kiwi"));
}

#[test]
fn reporter_is_anybody_unless_configured() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let mut client = herd.client("Riley");
    assert_eq!(client.ask("TOKEN secret"), "? TOKEN secret", "a line like any other");
    assert!(client.ask(KIWI).starts_with("AT Riley "));
}
