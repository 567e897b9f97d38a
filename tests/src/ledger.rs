//! Ledger of acknowledged reports, and its comparison with what nodes answer.
//!
//! Owns what clients may rely on: for each client the time of its newest report that a node acknowledged with an `AT` line. A
//! node has lost a report if it answers `WHATSAT` with an older one, or with none. A newer one is no loss: a report whose answer
//! did not arrive may have been kept.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use anyhow::{Context, Result, ensure};

use crate::WAIT_MAX;

/// Acknowledged reports of clients that share the beginning of their names.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Beginning of the names of all clients; the rest is a dash and the client's number.
    pub name: String,
    /// Time of the newest acknowledged report by number of the client, in nanoseconds since the Unix epoch.
    pub newest_ns: BTreeMap<u64, u64>,
    /// Number of acknowledged reports.
    pub acknowledged: u64,
    /// Number of `? ` copies: reports that the node did not confirm.
    pub unconfirmed: u64,
    /// Number of reports without an answer, because their connection broke.
    pub unanswered: u64,
    /// Number of reports that were due and not sent, because there was no connection.
    pub unsent: u64,
    /// Descriptions of the first few answers that were neither.
    pub wrong: Vec<String>,
}

/// Result of reading a ledger back from one node.
#[derive(Clone, Debug, Default)]
pub struct ReadBack {
    /// Number of clients that were asked about.
    pub clients: usize,
    /// Number of clients of which the node has no report, or one that is older than the acknowledged one.
    pub lost: usize,
    /// Descriptions of the first few of them.
    pub examples: Vec<String>,
}

impl Ledger {
    /// Creates an empty ledger.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            newest_ns: BTreeMap::new(),
            acknowledged: 0,
            unconfirmed: 0,
            unanswered: 0,
            unsent: 0,
            wrong: vec![],
        }
    }

    /// Notes an acknowledged report.
    pub fn acknowledge(&mut self, client: u64, time_ns: u64) {
        self.acknowledged += 1;
        let newest_ns = self.newest_ns.entry(client).or_default();
        *newest_ns = time_ns.max(*newest_ns);
    }

    /// Notes an answer that belongs to no report.
    pub fn note_wrong(&mut self, answer: &str) {
        if self.wrong.len() < EXAMPLES_MAX {
            self.wrong.push(answer.into());
        }
    }

    /// Asks a node about every client of the ledger.
    ///
    /// # Errors
    ///
    /// The node does not answer, or answers nonsense.
    pub fn read_back(&self, address: SocketAddr) -> Result<ReadBack> {
        self.read_back_by(address, |answered_ns, acknowledged_ns| answered_ns >= acknowledged_ns)
    }

    /// Asks a node that may have lost reports; only a report that was never made counts as lost then.
    ///
    /// # Errors
    ///
    /// The node does not answer, or answers nonsense.
    pub fn read_back_wrong(&self, address: SocketAddr) -> Result<ReadBack> {
        self.read_back_by(address, |answered_ns, acknowledged_ns| answered_ns == 0 || answered_ns == acknowledged_ns)
    }

    fn read_back_by(&self, address: SocketAddr, holds: impl Fn(u64, u64) -> bool) -> Result<ReadBack> {
        let stream = TcpStream::connect_timeout(&address, WAIT_MAX).context("connect")?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        let mut sink = stream.try_clone()?;
        let mut source = BufReader::with_capacity(1 << 18, stream);
        thread::scope(|scope| {
            let asking = scope.spawn(move || -> std::io::Result<()> {
                let mut lines = Vec::new();
                for number in self.newest_ns.keys() {
                    writeln!(lines, "WHATSAT {}-{number} 0 0", self.name)?;
                    if lines.len() > ASKED_AT_ONCE_BYTES {
                        sink.write_all(&lines)?;
                        lines.clear();
                    }
                }
                sink.write_all(&lines)
            });
            let mut found = ReadBack::default();
            let mut line = String::new();
            for (number, &acknowledged_ns) in &self.newest_ns {
                let client = format!("{}-{number}", self.name);
                next_line(&mut source, &mut line)?;
                let (answered_ns, answer) = (time_of(&line, &client)?, line.clone());
                // JSON follows, up to an empty line.
                while answered_ns > 0 && line != "\n" {
                    next_line(&mut source, &mut line)?;
                }
                found.clients += 1;
                if !holds(answered_ns, acknowledged_ns) {
                    found.lost += 1;
                    if found.examples.len() < EXAMPLES_MAX {
                        found
                            .examples
                            .push(format!("{client}: {:?}, acknowledged {acknowledged_ns}", answer.trim_end()));
                    }
                }
            }
            asking.join().expect("asking does not panic")?;
            Ok(found)
        })
    }
}

/// Formats a time as a client writes it.
pub(crate) fn seconds(time_ns: u64) -> String {
    format!("{}.{:09}", time_ns / 1_000_000_000, time_ns % 1_000_000_000)
}

/// Time of the report in an answer about a client, in nanoseconds, or 0 if the node has none.
fn time_of(answer: &str, client: &str) -> Result<u64> {
    if answer.starts_with("? WHATSAT ") {
        return Ok(0);
    }
    let fields: Vec<&str> = answer.split_ascii_whitespace().collect();
    ensure!(fields.len() == 6 && fields[0] == "AT" && fields[3] == client, "asked about {client}, answered {answer:?}");
    let (whole, fraction) = fields[5].split_once('.').with_context(|| format!("a time in {answer:?}"))?;
    Ok(whole.parse::<u64>()? * 1_000_000_000 + format!("{fraction:0<9}").parse::<u64>()?)
}

fn next_line(source: &mut impl BufRead, line: &mut String) -> Result<()> {
    line.clear();
    ensure!(source.read_line(line).context("waiting for an answer")? > 0, "the node closed the session");
    Ok(())
}

/// Questions written at once, some hundreds.
const ASKED_AT_ONCE_BYTES: usize = 16 << 10;
const EXAMPLES_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledger_keeps_the_newest_acknowledged_time_of_a_client() {
        let mut ledger = Ledger::new("kiwi");
        [(1, 5), (2, 9), (1, 7), (2, 8)].into_iter().for_each(|(client, time_ns)| ledger.acknowledge(client, time_ns));
        assert_eq!(ledger.newest_ns, BTreeMap::from([(1, 7), (2, 9)]));
        assert_eq!(ledger.acknowledged, 4);
    }

    #[test]
    fn time_of_an_answer_is_exact() {
        assert_eq!(
            time_of("AT Riley +0.1 kiwi +1-1 1479413884.392014450\n", "kiwi").unwrap(),
            1_479_413_884_392_014_450
        );
        assert_eq!(time_of("AT Riley +0.1 kiwi +1-1 1.5\n", "kiwi").unwrap(), 1_500_000_000);
        assert_eq!(time_of("? WHATSAT kiwi 0 0\n", "kiwi").unwrap(), 0);
        assert!(time_of("AT Riley +0.1 kiwi +1-1 1.5\n", "apteryx").is_err());
        assert_eq!(seconds(1_479_413_884_392_014_450), "1479413884.392014450");
    }
}
