//! Records that were written in another form than their reader's.

use herd_tests::{DEFAULT_GUEST, Fixture, Herd, eventually};

/// The `AT` line that a node answers about a client, or what it says instead.
fn located(herd: &Herd, node: &str, client: &str) -> String {
    herd.client(node).ask_places(&format!("WHATSAT {client} 1 1")).0
}

#[test]
fn records_written_before_a_swap_to_another_form_are_read_after_it() {
    let herd = Herd::of_one();
    let _up = herd.up();
    let told = herd.client("Riley").ask("IAMAT kiwi +34-118 1");
    assert!(told.starts_with("AT Riley "), "{told}");
    let digest = herd.digest("Riley");
    herd.swap(Fixture::SecondForm, &[]).unwrap();
    assert_eq!(located(&herd, "Riley", "kiwi"), told);
    assert_eq!(herd.digest("Riley"), digest, "what is kept stays as it was written");
    assert_eq!(herd.status("Riley")["generations"]["active"]["form"], 2);
}
