//! The host itself: its memory and processors, its clock, and what the node writes to its disk.

use std::time::Duration;

use herd_config::Durability;
use herd_sys::clock::unix_now;
use herd_sys::{HostMemory, workers};

use super::super::memory::listed;
use super::CheckedNode;
use super::certificates::Certificates;
use super::finding::Finding;
use super::running::Running;

pub(super) fn look(checked: CheckedNode<'_>, running: &Running, certificates: &Certificates) -> Vec<Finding> {
    let mut findings = vec![memory(checked, running)];
    findings.extend(clock(unix_now(), certificates.valid_from()));
    findings.push(wear(checked.herd.records.durability));
    findings
}

/// Looks at the memory of the node if it runs, which may be in another control group than this command.
fn memory(checked: CheckedNode<'_>, running: &Running) -> Finding {
    let told = running.memory();
    let here = HostMemory::read();
    let bytes_max = told.as_ref().map(|told| told.bytes_max).or(here.as_ref().map(HostMemory::bytes_max));
    let Some(bytes_max) = bytes_max else {
        return Finding::warn(MEMORY, "the system does not say how much there is, so no limit is lowered to it");
    };
    let (mib, processors) = (bytes_max >> 20, workers::count());
    if told.is_some_and(|told| told.is_short) {
        return Finding::warn(
            MEMORY,
            format!("{mib} MiB, and they are short: the node refuses new clients and new keys"),
        )
        .fix("more memory for the node, or lower `records.keys_max` and `sessions.sessions_max`");
    }
    let mut fitted = (**checked.herd).clone();
    let lowered = fitted.fit(bytes_max, 1);
    let beyond = (**checked.herd).beyond(bytes_max, 1);
    if !beyond.is_empty() {
        let text = format!(
            "{mib} MiB have no room for all that the configuration allows; there is room for {}",
            listed(&beyond)
        );
        return Finding::warn(MEMORY, text).fix("leave these out of the configuration: their defaults fit the host");
    }
    let text = format!("{mib} MiB for a node, {processors} processors for its workers");
    Finding::ok(MEMORY, if lowered.is_empty() { text } else { format!("{text}; lowered to fit: {}", listed(&lowered)) })
}

/// Looks at the clock: one that says a time before the certificate of the node was made has not been set since the start.
fn clock(now: Duration, valid_from: Option<Duration>) -> Option<Finding> {
    let valid_from = valid_from.filter(|valid_from| now < *valid_from)?;
    let days = (valid_from - now).as_secs() / (24 * 60 * 60);
    Some(
        Finding::warn(
            CLOCK,
            format!(
                "it says a time {days} days before the certificate of this node was made, so it has not been set since the host started; until \
                 then links judge certificates by their own start, and new reports lose to older ones"
            ),
        )
        .fix("timedatectl set-ntp true; the unit of the node may wait for time-sync.target"),
    )
}

/// Says what reports write, which wears out cards and small flash disks.
fn wear(durability: Durability) -> Finding {
    Finding::ok(
        WEAR,
        match durability {
            Durability::Memory => "nothing for reports (`records.durability = \"memory\"`)",
            Durability::Os => "about 150 bytes a report (`records.durability = \"os\"`), as the system collects them",
            Durability::Disk => {
                "about 150 bytes a report and at least a block of the file system for each sync (`records.durability = \"disk\"`); \"os\" \
                 writes a tenth where reports come one by one"
            }
        },
    )
}

const MEMORY: &str = "memory";
const CLOCK: &str = "clock";
const WEAR: &str = "disk wear";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doctor_tells_a_clock_that_was_not_set_since_the_start() {
        let day = Duration::from_secs(24 * 60 * 60);
        let made = day * 20_000;
        assert_eq!(clock(made, Some(made)), None);
        assert_eq!(clock(Duration::ZERO, None), None);
        let finding = clock(day, Some(made)).unwrap();
        assert!(finding.text.contains("19999 days before"), "{finding:?}");
    }
}
