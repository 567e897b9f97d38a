//! TLS on client ports, with the commands that speak it.

use std::path::Path;
use std::process::Output;

use herd_tests::{Client, Herd, eventually};

const REPORT: &str = "IAMAT kiwi +34.068930-118.445127 1";

/// Runs a command as a client with TLS that trusts this authority.
fn with_tls(herd: &Herd, authority: &str, arguments: &[&str]) -> Output {
    let authority = Herd::tls_file(authority).display().to_string();
    herd.herd(&[arguments, &["--tls", "--ca", &authority]].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn tls_clients_and_plain_clients_share_a_node() {
    let herd = Herd::of_one().with_tls();
    let up = herd.up();
    for name in [&[][..], &["--server-name", "herd.test"]] {
        let sent = with_tls(&herd, "authority.pem", &[&["send", "Riley", REPORT, "LLL"][..], name].concat());
        let out = text(&sent.stdout);
        assert!(out.starts_with("AT Riley ") && out.ends_with("\n? LLL\n"), "{out}{}", text(&sent.stderr));
    }
    assert!(herd.knows("Riley", "kiwi"), "over the plain port");
    let bench =
        ["bench", "--node", "Riley", "--connections", "8", "--pipeline", "16", "--warm-up", "0.1", "--duration", "0.3"];
    let bench = with_tls(&herd, "authority.pem", &bench);
    assert!(bench.status.success() && text(&bench.stdout).contains("8 connections with TLS"), "{bench:?}");
    let walk = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cerknicko-jezero.gpx").display().to_string();
    let feed = with_tls(&herd, "authority.pem", &["feed", &walk, "--client", "walker", "--speed", "max"]);
    assert!(feed.status.success(), "{feed:?}");
    drop(up);
}

#[test]
fn tls_client_that_trusts_another_authority_or_expects_another_name_says_so() {
    let herd = Herd::of_one().with_tls();
    let _up = herd.up();
    let stranger = with_tls(&herd, "other-authority.pem", &["send", "Riley", REPORT]);
    assert!(!stranger.status.success() && text(&stranger.stderr).contains("UnknownIssuer"), "{stranger:?}");
    let name = with_tls(&herd, "authority.pem", &["send", "Riley", REPORT, "--server-name", "elsewhere.test"]);
    assert!(!name.status.success() && text(&name.stderr).contains("elsewhere.test"), "{name:?}");
    assert!(!herd.knows("Riley", "kiwi"));
}

#[test]
fn tls_port_refuses_plain_text_and_serves_others() {
    let herd = Herd::of_one().with_tls();
    let _up = herd.up();
    let mut plain = Client::connect(herd.tls_address("Riley"));
    plain.send(format!("{REPORT}\n"));
    herd.await_status("Riley", "the refusal", |status| status["sessions"]["refused_by_limit"]["handshake_failed"] == 1);
    assert!(!text(&plain.rest()).contains("AT "));
    assert!(with_tls(&herd, "authority.pem", &["send", "Riley", REPORT]).status.success());
    herd.await_status("Riley", "no session", |status| status["sessions"]["open"] == 0);
}

/// Goal: clients that never finish their handshake keep nobody out and hold nothing. Method: more of them than there are places.
#[test]
fn tls_handshakes_that_never_end_keep_nobody_out() {
    let herd = Herd::of_one().with_tls();
    let _up = herd.up();
    let silent: Vec<Client> = (0..600).map(|_| Client::connect(herd.tls_address("Riley"))).collect();
    let refused =
        |status: &serde_json::Value| status["sessions"]["refused_by_limit"]["handshakes"].as_u64() >= Some(88);
    herd.await_status("Riley", "the oldest handshakes given up", refused);
    assert!(with_tls(&herd, "authority.pem", &["send", "Riley", REPORT]).status.success());
    drop(silent);
    herd.await_status("Riley", "no connection", |status| status["sessions"]["open"] == 0);
}

#[test]
fn tls_certificate_is_taken_over_while_the_node_runs() {
    let herd = Herd::of_one().with_tls();
    let up = herd.up();
    assert!(with_tls(&herd, "authority.pem", &["send", "Riley", REPORT]).status.success());
    herd.certify("renewed");
    eventually("the new certificate", || {
        let sent = with_tls(&herd, "other-authority.pem", &["send", "Riley", REPORT]);
        if sent.status.success() { Ok(()) } else { Err(text(&sent.stderr)) }
    });
    up.await_log(&["new certificate for clients"]);
    assert!(!with_tls(&herd, "authority.pem", &["send", "Riley", REPORT]).status.success());
}

#[test]
fn tls_port_without_a_usable_certificate_stops_the_start_with_its_path() {
    let herd = Herd::of_one().with_tls();
    herd.scratch().write("key.pem", "no key");
    let refused = herd.herd(&["run", "Riley"]);
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("key.pem has no private key in PEM"), "{said}");
}
