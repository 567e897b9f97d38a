//! Keys that sign guests: whether a swap finds enough of them, and whether the guest of the configuration is signed by them.

use std::collections::BTreeMap;
use std::time::Duration;

use herd_config::HerdConfig;
use herd_model::Digest;
use herd_signing::{SignatureRequirement, TrustedKey};
use herd_sys::clock::unix_now;

use super::super::guest_file::read_brought_guest;
use super::super::numbers::counted;
use super::CheckedNode;
use super::finding::Finding;
use crate::default_guest;

pub(super) fn look(checked: CheckedNode<'_>) -> Vec<Finding> {
    let now = unix_now();
    let Some(requirement) = checked.herd.swap.signatures() else { return Vec::new() };
    let mut findings = vec![keys(&requirement, now)];
    findings.extend(configured_guest(checked.herd, now));
    findings
}

/// Looks at the keys that have not expired, and at those that will be left in a month.
fn keys(requirement: &SignatureRequirement, now: Duration) -> Finding {
    let SignatureRequirement { threshold, keys } = requirement;
    let valid_at = |time: Duration| -> BTreeMap<&str, &TrustedKey> {
        let valid = keys.iter().filter(|(_, key)| !key.expires.is_some_and(|expiry| expiry.is_over(time)));
        valid.map(|(name, key)| (name.as_str(), key)).collect()
    };
    let (valid, later) = (valid_at(now), valid_at(now + SOON));
    let needed = format!("a guest needs the signatures of {threshold} of {}", counted(keys.len(), "key"));
    if valid.len() < *threshold {
        let ended = keys.keys().filter(|name| !valid.contains_key(name.as_str()));
        let ended = ended.map(String::as_str).collect::<Vec<_>>().join(", ");
        return Finding::fault(WHAT, format!("{needed}, and {ended} expired: the node takes no new guest")).fix(RENEW);
    }
    if later.len() < *threshold {
        let ends = valid.iter().filter(|(name, _)| !later.contains_key(*name));
        let ends = ends.filter_map(|(name, key)| Some(format!("{name} expires at {}", key.expires?)));
        let ends = ends.collect::<Vec<_>>().join(", ");
        return Finding::warn(WHAT, format!("{needed}, and {ends}: from then on the node takes no new guest"))
            .fix(RENEW);
    }
    Finding::ok(WHAT, format!("{needed}: {}", valid.into_keys().collect::<Vec<_>>().join(", ")))
}

/// Looks at the guest of the configuration, without which the node does not start.
fn configured_guest(herd: &HerdConfig, now: Duration) -> Option<Finding> {
    let path = herd.guest.as_ref()?;
    let policy = herd.swap.policy(Digest::of(default_guest()));
    let accepted = match read_brought_guest(path) {
        Ok(brought) => policy.recognize(brought.guest.files(), now).map_err(|error| error.to_string()),
        Err(error) => Err(format!("{error:#}")),
    };
    let shown = path.display();
    Some(match accepted {
        Ok(_) => Finding::ok(GUEST, format!("{shown} has the signatures that it needs")),
        Err(error) => Finding::fault(GUEST, format!("{shown} is not accepted: {error}")),
    })
}

const WHAT: &str = "keys for guests";
const GUEST: &str = "guest";
const RENEW: &str =
    "herd keygen, and add the key to `swap.require_signature.keys` on every node (docs/signed-guests.md)";
/// Time before the end of a key from which it is shown: a key is replaced by people, on every node.
const SOON: Duration = Duration::from_hours(30 * 24);

#[cfg(test)]
mod tests {
    use herd_signing::PrivateKey;

    use super::*;

    fn finding(threshold: usize, expires: &[(&str, Option<&str>)], now: &str) -> String {
        let key = |expires: &Option<&str>| TrustedKey {
            key: PrivateKey::generate().unwrap().public(),
            expires: expires.map(|expires| expires.parse().unwrap()),
        };
        let keys = expires.iter().map(|(name, expires)| ((*name).to_string(), key(expires))).collect();
        let now: jiff::Timestamp = now.parse().unwrap();
        let now = Duration::from_secs(now.as_second().unsigned_abs());
        let Finding { level, text, .. } = super::keys(&SignatureRequirement { threshold, keys }, now);
        format!("{level}: {text}")
    }

    #[test]
    fn doctor_says_when_too_few_keys_are_left_for_a_swap() {
        let one = [("mira", Some("2027-03-01"))];
        assert_eq!(finding(1, &one, "2027-01-01T00:00:00Z"), "ok: a guest needs the signatures of 1 of 1 key: mira");
        assert_eq!(
            finding(1, &one, "2027-02-20T00:00:00Z"),
            "warn: a guest needs the signatures of 1 of 1 key, and mira expires at 2027-03-01T00:00:00Z: from then on the node takes no new guest"
        );
        assert_eq!(
            finding(1, &one, "2027-03-01T00:00:00Z"),
            "fault: a guest needs the signatures of 1 of 1 key, and mira expired: the node takes no new guest"
        );
        // Another key is left.
        let two = [("ada", None), ("mira", Some("2027-03-01"))];
        assert_eq!(finding(1, &two, "2027-03-02T00:00:00Z"), "ok: a guest needs the signatures of 1 of 2 keys: ada");
        assert!(
            finding(2, &two, "2027-03-02T00:00:00Z")
                .starts_with("fault: a guest needs the signatures of 2 of 2 keys, and mira expired")
        );
    }
}
