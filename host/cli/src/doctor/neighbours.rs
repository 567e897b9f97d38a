//! Ways to the neighbours: name, port, who answers, and how its clock and versions compare.

use std::sync::Arc;

use futures_util::future::join_all;
use herd_identity::Identity;
use herd_peers::{NodeAnswer, ProbeError, Probed, probe};
use herd_sys::HostPort;

use super::super::shell_word::shell_word;
use super::super::status::tolerance_s;
use super::CheckedNode;
use super::certificates::Certificates;
use super::finding::Finding;

/// Looks at all neighbours at once.
pub(super) async fn look(checked: CheckedNode<'_>, certificates: &Certificates) -> Vec<Finding> {
    let neighbours = checked.herd.neighbours(checked.name);
    if neighbours.is_empty() {
        return Vec::new();
    }
    let Some(identity) = certificates.identity() else {
        // A neighbour talks to members only.
        let names: Vec<&str> = neighbours.iter().map(|(name, _)| name.as_str()).collect();
        let text = format!("{} are not asked, because this node has no certificate to show them", names.join(", "));
        let finding =
            if checked.herd.is_on_one_host() { Finding::ok("links", text) } else { Finding::warn("links", text) };
        return vec![finding];
    };
    let looks = neighbours.into_iter().map(|(name, dial)| neighbour(checked, Arc::clone(&identity), name, dial));
    join_all(looks).await.into_iter().flatten().collect()
}

async fn neighbour(checked: CheckedNode<'_>, identity: Arc<Identity>, name: String, dial: HostPort) -> Vec<Finding> {
    match probe(&identity, &dial, &name).await {
        Ok(probed) => {
            let mut findings = vec![Finding::ok(
                format!("link to {name}"),
                format!("{dial} is {name}, at {}, {:.1} ms away", probed.address, probed.round_trip_ms),
            )];
            findings.push(clock(checked, &name, &probed));
            findings.extend(versions(&name, &probed.answer));
            findings
        }
        Err(error) => vec![unreachable(checked, &name, &dial, &error)],
    }
}

fn unreachable(checked: CheckedNode<'_>, name: &str, dial: &HostPort, error: &ProbeError) -> Finding {
    let finding = Finding::fault(format!("link to {name}"), error.to_string());
    let (typed, option) = (shell_word(name), checked.herd.option());
    match error {
        ProbeError::Lookup(_) => finding.fix(format!("correct `nodes.{name}.host`, or add the name to DNS or to /etc/hosts")),
        ProbeError::NotListening(_) => {
            finding.fix(format!("the host is there, and its node does not run; there: herd run {typed}{option}"))
        }
        ProbeError::Unreachable(_) => finding.fix(format!(
            "is the host up (ping {host}), and does its firewall let TCP port {port} in? there: herd doctor {typed}{option}",
            host = dial.host,
            port = dial.port
        )),
        ProbeError::OtherNode { .. } => {
            finding.fix(format!("correct `nodes.{name}.host`, or run the node that the configuration has there"))
        }
        ProbeError::Handshake { .. } => finding.fix(format!("there: herd doctor {typed}{option}")),
    }
}

/// Compares clocks. Reports with times further apart than the tolerance are refused, or an older one wins.
fn clock(checked: CheckedNode<'_>, name: &str, probed: &Probed) -> Finding {
    let Probed { clock_ahead_ms: ahead_ms, round_trip_ms, .. } = probed;
    let what = format!("clock of {name}");
    let text = match ahead_ms.abs() {
        apart if apart <= (round_trip_ms / 2.0).max(PRECISION_MS) => "agrees with that of this host".to_string(),
        apart => {
            let direction = if *ahead_ms > 0.0 { "ahead of" } else { "behind" };
            format!("{:.3} s {direction} that of this host", apart / 1000.0)
        }
    };
    let tolerance_ms = tolerance_s(checked.herd) * 1000.0;
    let fix = "which of the two is wrong: timedatectl, on both hosts; with NTP they differ by milliseconds";
    if ahead_ms.abs() > tolerance_ms / 2.0 {
        Finding::fault(what, format!("{text}, more than half of the tolerance, so that an older report may win"))
            .fix(fix)
    } else if ahead_ms.abs() > round_trip_ms + UNUSUAL_MS {
        Finding::warn(what, text).fix(fix)
    } else {
        Finding::ok(what, text)
    }
}

/// Compares versions with those of this program. Without a difference there is nothing to say.
fn versions(name: &str, answer: &NodeAnswer) -> Vec<Finding> {
    let own = NodeAnswer::of_this_program(&herd_runtime::contract());
    let mut findings = Vec::new();
    let ((lowest, highest), (own_lowest, own_highest)) = (answer.protocols, own.protocols);
    if lowest > own_highest || own_lowest > highest {
        findings.push(
            Finding::fault(
                format!("link to {name}"),
                format!(
                    "{name} speaks link protocol {lowest} to {highest}, and this program {own_lowest} to {own_highest}"
                ),
            )
            .fix("install one version on both hosts"),
        );
    }
    for (what, theirs, ours) in
        [("program", &answer.program, &own.program), ("contract", &answer.contract, &own.contract)]
    {
        if theirs != ours {
            let text = format!("{name} has {theirs}, and this host {ours}");
            findings.push(Finding::warn(format!("{what} of {name}"), text).fix("install one version on all hosts"));
        }
    }
    findings
}

/// Offset that is not worth a word: scheduling makes as much.
const PRECISION_MS: f64 = 5.0;
/// Offset that hosts with NTP do not have.
const UNUSUAL_MS: f64 = 1000.0;

#[cfg(test)]
mod tests {
    use herd_config::HerdConfig;

    use super::super::super::configured_herd::ConfiguredHerd;
    use super::super::finding::Level;
    use super::*;

    fn probed(clock_ahead_ms: f64) -> Probed {
        let answer = NodeAnswer::of_this_program(&herd_runtime::contract());
        Probed { address: "192.0.2.1:1".parse().unwrap(), answer, clock_ahead_ms, round_trip_ms: 20.0 }
    }

    #[test]
    fn doctor_judges_a_clock_by_the_tolerance_of_reports() {
        let herd = ConfiguredHerd::new(HerdConfig::default(), None);
        let checked = CheckedNode {
            herd: &herd,
            name: "Riley",
            node: &herd.nodes["Riley"],
            state: std::path::Path::new("/nowhere"),
        };
        let of = |ahead_ms| clock(checked, "Jaquez", &probed(ahead_ms));
        assert_eq!((of(9.0).level, &*of(9.0).text), (Level::Ok, "agrees with that of this host"));
        assert_eq!((of(-500.0).level, &*of(-500.0).text), (Level::Ok, "0.500 s behind that of this host"));
        assert_eq!((of(2_000.0).level, &*of(2_000.0).text), (Level::Warn, "2.000 s ahead of that of this host"));
        assert_eq!(of(-31_000.0).level, Level::Fault);
    }

    #[test]
    fn doctor_tells_versions_that_differ() {
        let same = probed(0.0).answer;
        assert!(versions("Jaquez", &same).is_empty());
        let other =
            NodeAnswer { program: "9.9.9".into(), contract: "herd:logic@9.0.0".into(), protocols: (900, 901), ..same };
        let levels: Vec<Level> = versions("Jaquez", &other).iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Fault, Level::Warn, Level::Warn]);
    }
}
