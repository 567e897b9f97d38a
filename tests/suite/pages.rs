//! Pages of docs/ with commands: they print what the pages show.

use herd_tests::Herd;
use herd_tests::page::{TYPED_PAGES, pages_with_commands, type_pages};

/// Goal: a new user who types the commands of these pages sees what they show. Method: that of README.md, without a repository around.
#[test]
fn pages_of_the_quick_start_show_what_their_commands_print() {
    type_page(0);
}

/// The cargo of this machine, offline: the crates of a project are those with which this workspace was built.
#[test]
fn pages_on_a_first_guest_show_what_their_commands_print() {
    type_page(1);
}

#[test]
fn pages_on_monitoring_show_what_their_commands_print() {
    type_page(2);
}

#[test]
fn pages_with_commands_are_typed() {
    for page in pages_with_commands() {
        let is_typed = TYPED_PAGES.concat().contains(&&*page);
        assert!(is_typed, "docs/{page} has blocks of the language console, and is not in TYPED_PAGES");
    }
}

#[track_caller]
fn type_page(number: usize) {
    if let Err(difference) = type_pages(TYPED_PAGES[number], &Herd::binary()) {
        panic!("{difference}");
    }
}
