//! Cuts between nodes by packet filter rules, in the network namespace of the run.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use herd_tests::Herd;

/// Fate of a packet of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It vanishes, as in a network that is down.
    Silent,
    /// Its connection is reset, as by a device in between that has restarted.
    Reset,
}

/// A table of rules, deleted on drop.
pub(crate) struct Firewall<'a> {
    herd: &'a Herd,
}

impl<'a> Firewall<'a> {
    /// Creates the table.
    ///
    /// # Errors
    ///
    /// No `nft` is there, or it may not change the rules: the run has no network namespace of its own.
    pub(crate) fn create(herd: &'a Herd) -> Result<Self> {
        // In the namespace of the machine, rules for loopback could cut off others.
        let links = std::fs::read_to_string("/proc/net/dev")?;
        let others = links.lines().skip(2).filter(|line| !line.trim_start().starts_with("lo:")).count();
        ensure!(others == 0, "this network namespace has more than loopback; start it by tests/show/safe");
        nft(
            "add table ip cuts\nadd chain ip cuts packets { type filter hook input priority 0; }\nflush chain ip cuts packets\n",
        )?;
        Ok(Self { herd })
    }

    /// Cuts packets from the first node to the second of each pair.
    pub(crate) fn cut(&self, how: Cut, pairs: &[(&str, &str)]) -> Result<()> {
        let verdict = match how {
            Cut::Silent => "drop",
            Cut::Reset => "ip protocol tcp reject with tcp reset",
        };
        let address = |node: &str| self.herd.link_address(node).ip();
        let rule = |(from, to): &(&str, &str)| {
            format!("add rule ip cuts packets ip saddr {} ip daddr {} {verdict}\n", address(from), address(to))
        };
        nft(&pairs.iter().map(rule).collect::<String>())
    }

    /// Lets every packet pass again.
    pub(crate) fn heal(&self) -> Result<()> {
        nft("flush chain ip cuts packets\n")
    }
}

impl Drop for Firewall<'_> {
    fn drop(&mut self) {
        let _ = nft("delete table ip cuts\n");
    }
}

/// Applies commands as one change.
fn nft(commands: &str) -> Result<()> {
    let spawned = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut nft = spawned.context("nft is not there; as root type: apt-get install nftables")?;
    nft.stdin.take().context("its input is piped")?.write_all(commands.as_bytes())?;
    let output = nft.wait_with_output()?;
    ensure!(output.status.success(), "nft: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
