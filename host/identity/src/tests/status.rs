//! Status: what `herd certs show` and `herd status` print.

use super::{DAY, Herd, NOW, YEAR, node};
use crate::{AuthorityStatus, Credentials, IdentityStatus, Role};

/// Replaces serials, which are random.
fn shown(status: &impl ToString) -> String {
    let text = status.to_string();
    let (words, serial) = text.rsplit_once("serial ").unwrap();
    assert!(serial.len() == 8 && serial.bytes().all(|byte| byte.is_ascii_hexdigit()), "{serial}");
    format!("{words}serial -")
}

#[test]
fn status_of_a_member_is_told_in_words() {
    let mut herd = Herd::new("five");
    let riley = herd.issue("Riley");
    let status = IdentityStatus::of(&riley, NOW);
    assert_eq!(
        shown(&status.own),
        "node Riley of herd five: expires in 365 days, valid until 2027-11-26 17:45 UTC, serial -"
    );
    assert_eq!(
        shown(&status.authorities[0]),
        "the authority of herd five: expires in 3650 days, valid until 2036-11-23 17:45 UTC, serial -"
    );
    assert_eq!(status.lists[0].to_string(), "revocation list 1 of 2026-11-26 16:45 UTC: 0 certificates");
    assert!(status.warnings().is_empty());
    // The warning of a list is the same, whoever looks.
    assert_eq!(
        Credentials::parse(riley.encode().as_bytes()).map(|read| IdentityStatus::of(&read, NOW)).unwrap(),
        status
    );
}

#[test]
fn status_warns_with_the_command_that_helps() {
    let mut herd = Herd::new("five");
    let riley = herd.issue("Riley");
    let warnings = |now| IdentityStatus::of(&riley, now).warnings();
    assert!(warnings(NOW + DAY * 200).is_empty());
    let near = warnings(NOW + DAY * 300);
    assert_eq!(near.len(), 1);
    assert!(near[0].starts_with("node Riley of herd five: expires in 65 days, renew it, valid until"), "{near:?}");
    assert!(near[0].ends_with(": herd certs renew Riley"), "{near:?}");
    let late = warnings(NOW + YEAR * 10 - DAY);
    assert!(late[0].contains("expired") && late[1].ends_with(": herd certs roll"), "{late:?}");
    // Rolled over, the old authority may end.
    herd.authority.roll(YEAR * 20, NOW + YEAR * 9).unwrap();
    let rolled = herd.authority.issue(&node("Riley"), YEAR * 3, NOW + YEAR * 9).unwrap();
    assert!(IdentityStatus::of(&rolled, NOW + YEAR * 10 - DAY).warnings().is_empty());
}

#[test]
fn status_of_an_authority_lists_what_it_made() {
    let mut herd = Herd::new("five");
    herd.issue("Riley");
    herd.issue("Jaquez");
    herd.authority.revoke(&node("Jaquez"), NOW + DAY).unwrap();
    let status = AuthorityStatus::of(&herd.authority, NOW + DAY);
    let issued: Vec<String> = status.issued.iter().map(shown).collect();
    assert_eq!(
        issued,
        [
            "node Riley of herd five: expires in 364 days, valid until 2027-11-26 17:45 UTC, serial -",
            "node Jaquez of herd five: revoked, expires in 364 days, valid until 2027-11-26 17:45 UTC, serial -",
        ]
    );
    assert_eq!(status.lists[0].to_string(), "revocation list 2 of 2026-11-27 16:45 UTC: 1 certificate");
}

#[test]
fn status_of_an_authority_warns_of_what_nobody_has_renewed_or_revoked() {
    let mut herd = Herd::new("five");
    for name in ["Riley", "Jaquez", "Juzang"] {
        herd.issue(name);
    }
    herd.authority.issue(&Role::Operator("mira".into()), YEAR, NOW).unwrap();
    herd.authority.issue(&node("Riley"), YEAR, NOW + DAY * 299).unwrap();
    herd.authority.revoke(&node("Jaquez"), NOW + DAY * 299).unwrap();
    let status = AuthorityStatus::of(&herd.authority, NOW + DAY * 300);
    let replaced: Vec<bool> = status.issued.iter().map(|issued| status.is_replaced(issued)).collect();
    assert_eq!(replaced, [true, false, false, false, false], "the older of two certificates of Riley");
    let warnings = status.warnings();
    let commands: Vec<&str> = warnings.iter().filter_map(|line| Some(line.rsplit_once(": ")?.1)).collect();
    assert_eq!(commands, ["herd certs renew Juzang", "herd certs renew --operator mira"], "{warnings:?}");
    let late = AuthorityStatus::of(&herd.authority, NOW + YEAR * 10 - DAY).warnings();
    assert!(late[0].ends_with(": herd certs roll"), "{late:?}");
}

#[test]
fn status_of_an_authority_forgets_what_a_retired_one_made() {
    let mut herd = Herd::new("five");
    herd.issue("Riley");
    herd.issue("Jaquez");
    herd.authority.revoke(&node("Jaquez"), NOW).unwrap();
    herd.authority.roll(YEAR * 10, NOW).unwrap();
    herd.issue("Riley");
    assert_eq!(AuthorityStatus::of(&herd.authority, NOW).issued.len(), 3);
    herd.authority.retire().unwrap();
    let names: Vec<String> =
        AuthorityStatus::of(&herd.authority, NOW).issued.iter().map(|issued| issued.subject.role.to_string()).collect();
    assert_eq!(names, ["node Riley"], "a node that was revoked is not shown as one to renew");
}
