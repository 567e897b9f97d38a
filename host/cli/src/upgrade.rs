//! `herd upgrade`: replace the program of the nodes on this machine.
//!
//! Upgrades one process after the other, and stops at the first that does not come back. Bounds: [`BACK_MAX`] for each process.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use herd_admin::{AdminClient, Endpoint, UpgradeOptions};
use serde_json::{Map, Value, json};

use super::admin_herd::AdminHerd;
use super::client_runtime::block_on;
use super::format::Format;
use super::json_text::{short, text};
use super::nodes::{NodesArgs, addressed};

/// Arguments of `herd upgrade`.
#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    #[command(flatten)]
    nodes: NodesArgs,
    /// Program to become. Only the user of the node and root may name one. A restart by a supervisor starts the one that it is
    /// configured with. Default: the file with which the process was started, which was replaced on disk.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Process that runs nodes, before its upgrade.
struct Before {
    node: Endpoint,
    process: Process,
    /// All nodes of the process.
    names: Vec<String>,
}

/// Process as a node reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: u64,
    started_ms: u64,
}

/// Process that runs nodes, after its upgrade.
struct Upgraded {
    answer: Value,
    took: Duration,
}

/// Replaces the program of the named nodes, or of all nodes on this machine.
pub(super) fn upgrade(config: &AdminHerd, args: &UpgradeArgs) -> anyhow::Result<ExitCode> {
    let binary = args.binary.as_ref().map(std::path::absolute).transpose().context("--binary")?;
    let options = UpgradeOptions { binary };
    let (format, client) = (args.nodes.format(), AdminClient::new()?);
    block_on(Box::pin(async {
        let mut answers = Map::new();
        for before in processes(config, &args.nodes.node, &client).await? {
            let names = before.names.join(", ");
            let upgraded = before.upgrade(&client, &options).await.with_context(|| names.clone());
            let Upgraded { answer, took } = match upgraded {
                Ok(upgraded) => upgraded,
                Err(error) if format == Format::Json => {
                    // Those before it are upgraded, and those behind it are not asked.
                    for name in before.names {
                        answers.insert(name, json!({ "error": format!("{error:#}") }));
                    }
                    say!("{}", serde_json::to_string_pretty(&json!(answers))?);
                    return Ok(ExitCode::FAILURE);
                }
                Err(error) => return Err(error),
            };
            if format == Format::Text {
                let (from, to) = (build(&answer["from"]), build(&answer["to"]));
                say!("{names}: {from} -> {to}, {}, back after {} ms", text(&answer["binary"]), took.as_millis());
            }
            let mut answer = answer;
            answer["back_after_ms"] = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).into();
            for name in before.names {
                answers.insert(name, answer.clone());
            }
        }
        if format == Format::Json {
            say!("{}", serde_json::to_string_pretty(&json!(answers))?);
        }
        Ok(ExitCode::SUCCESS)
    }))?
}

/// Returns the processes of nodes on this machine, each once.
async fn processes(config: &AdminHerd, names: &[String], client: &AdminClient) -> anyhow::Result<Vec<Before>> {
    let mut nodes = config.endpoints(addressed(config, names).iter().map(String::as_str))?;
    if names.is_empty() {
        // The others run on other hosts, or not at all.
        nodes.retain(Endpoint::has_socket);
    }
    let mut processes: Vec<Before> = Vec::new();
    for node in nodes {
        let name = node.node().to_string();
        let status = match client.status(&node).await {
            // A socket that a process has left behind.
            Err(error) if error.is_down() && names.is_empty() => continue,
            status => status.with_context(|| name.clone())?,
        };
        let process = Process::of(&status).with_context(|| {
            format!("{name} runs a version of herd that cannot be upgraded while it runs; restart it")
        })?;
        match processes.iter_mut().find(|known| known.process.pid == process.pid) {
            Some(known) => known.names.push(name),
            None => processes.push(Before { node, process, names: vec![name] }),
        }
    }
    if processes.is_empty() {
        bail!(
            "no node of the herd runs on this machine, or not as a user whom this command trusts; herd status shows it"
        );
    }
    Ok(processes)
}

impl Before {
    /// Has the process become the new program, and waits until that answers.
    async fn upgrade(&self, client: &AdminClient, options: &UpgradeOptions) -> anyhow::Result<Upgraded> {
        let answer = client.upgrade(&self.node, options).await?;
        let (ordered, program) = (Instant::now(), text(&answer["binary"]));
        let mut gone = None;
        loop {
            match client.status(&self.node).await {
                Ok(status) => {
                    let now = Process::of(&status).filter(|now| *now != self.process);
                    if now.is_some_and(|now| now.pid != self.process.pid) {
                        bail!(
                            "the process ended during the upgrade to {program}; the log of the node says why. A supervisor has started the node again: herd status shows what runs now"
                        );
                    }
                    let failed = &status["process"]["not_upgraded"];
                    if now.is_some() && failed.is_string() {
                        bail!("{}; the old program goes on, started anew", text(failed));
                    }
                    if now.is_some() {
                        return Ok(Upgraded { answer, took: ordered.elapsed() });
                    }
                }
                // The sockets stay open during a hand-over, so nobody has them any more. A supervisor may start the node again.
                Err(error) if error.is_down() => {
                    let gone = *gone.get_or_insert_with(Instant::now);
                    if gone.elapsed() > RESTART_MAX {
                        bail!("{}", Ended { program: &program, names: &self.names });
                    }
                }
                // A connection that waits, or that broke at the hand-over.
                Err(_) => {}
            }
            if ordered.elapsed() > BACK_MAX {
                bail!(
                    "{program} was started and has not answered for {BACK_MAX:?}; the log of the node says what it does"
                );
            }
            tokio::time::sleep(LOOKS).await;
        }
    }
}

impl Process {
    fn of(status: &Value) -> Option<Self> {
        let process = &status["process"];
        Some(Self { pid: process["pid"].as_u64()?, started_ms: process["started_ms"].as_u64()? })
    }
}

/// The process ended, usually in the new program, and nothing runs the nodes.
struct Ended<'a> {
    program: &'a str,
    names: &'a [String],
}

impl fmt::Display for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = match self.names {
            [name] => format!("herd run {name}"),
            _ => "herd up".into(),
        };
        write!(
            f,
            "the process ended during the upgrade to {}; the log of the node says why. Nothing runs the node now, and what it acknowledged is on its disk. If no supervisor starts it again, type: {start}",
            self.program
        )
    }
}

/// Describes a program: `herd 0.1.0 (1a2b3c4d)`.
fn build(build: &Value) -> String {
    format!("herd {} ({})", text(&build["version"]), short(&build["digest"]))
}

/// Longest wait for the new program. It compiles a guest that the check could not, or reads many records.
const BACK_MAX: Duration = Duration::from_secs(60);
/// Wait for a supervisor that starts the node again. systemd waits 100 ms by default.
const RESTART_MAX: Duration = Duration::from_secs(3);
/// Time between two looks.
const LOOKS: Duration = Duration::from_millis(20);
