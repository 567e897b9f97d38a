//! Limits per address, as a client meets them: refused connections, slow reading, and what the node says about it.

use herd_tests::Herd;

/// A node whose limits count for loopback too.
fn limited(setting: &str) -> Herd {
    Herd::of_one().with("sessions.per_address.exempt=[]").with("sessions.per_address.burst_s=1").with(setting)
}

#[test]
fn limit_on_new_connections_closes_further_ones_at_once_and_is_told() {
    let herd = limited("sessions.per_address.connections_per_s=5");
    let up = herd.up();
    let mut open = herd.clients_until_refused("Riley", 10_000);
    assert!(open.len() >= 5, "the burst is for {} clients", open.len());
    assert_eq!(open[0].ask("LLL"), "? LLL", "open sessions are not affected");
    up.await_log(&["client refused", "connections_per_s", "client.addr=127.0.0.1:"]);
    let sessions = &herd.status("Riley")["sessions"];
    assert!(sessions["refused_by_limit"]["connections_per_s"].as_u64() >= Some(1), "{sessions}");
    assert_eq!(sessions["refused_by_limit"]["not_allowed"], 0, "{sessions}");
}

#[test]
fn allow_list_closes_connections_from_elsewhere() {
    let herd = Herd::of_one().with("sessions.per_address.allow=[\"192.0.2.0/24\", \"2001:db8::/32\"]");
    let _up = herd.up();
    assert!(herd.client("Riley").is_cut_off());
    herd.await_status("Riley", "the refusal", |status| status["sessions"]["refused_by_limit"]["not_allowed"] == 1);
}

/// Goal: a client over its rate is slowed down, and every line of it is answered, in order. Method: three times the burst in one
/// go, by a second handle while the first reads.
#[test]
fn limit_on_lines_slows_a_client_down_and_loses_nothing() {
    let herd = limited("sessions.per_address.lines_per_s=5000");
    let up = herd.up();
    let mut client = herd.client("Riley");
    let mut writer = client.duplicate();
    let count = 15_000;
    std::thread::scope(|scope| {
        scope.spawn(move || writer.send((0..count).map(|number| format!("{number}\n")).collect::<String>()));
        (0..count).for_each(|number| assert_eq!(client.line(), format!("? {number}")));
    });
    up.await_log(&["client slowed down", "lines_per_s"]);
    let sessions = &herd.status("Riley")["sessions"];
    assert!(sessions["paused_by_limit"]["lines_per_s"].as_u64() >= Some(1), "{sessions}");
    assert_eq!(sessions["paused_by_limit"]["kib_per_s"], 0, "{sessions}");
}
