//! Renewal of every certificate and roll-over of the authority, under load.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use herd_identity::{Credentials, credentials_path};
use herd_tests::{Bar, Clients, Herd, OpenLoad, Operator, Process, Reporter, Row, WAIT_MAX, eventually};

use crate::network::ip;

pub(crate) const ROW: Row = Row {
    name: "renewal",
    figures: &[
        Bar { figure: "operator's authority: longest time without a link", bar: "at most 100 ms" },
        Bar { figure: "operator's authority: acknowledged reports lost", bar: "0 of them, at every node" },
        Bar { figure: "operator's authority: wrong answers", bar: "0" },
        Bar { figure: "automatic authority: longest time without a link", bar: "at most 100 ms" },
        Bar { figure: "automatic authority: acknowledged reports lost", bar: "0 of them, at every node" },
        Bar { figure: "automatic authority: wrong answers", bar: "0" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    // An address that is not loopback, so that the herd is one of several hosts.
    ip(&["address", "replace", &format!("{ADDRESS}/32"), "dev", "lo"])?;
    let herd = Herd::of_five().as_for_users();
    let with_links = herd.with_links_at(ADDRESS);
    type_certs(&with_links, &["init"])?;
    type_certs(&with_links, &[&["issue"][..], &with_links.names()].concat())?;
    install(&with_links)?;
    renew_all(reporter, &with_links, "operator's authority")?;
    renew_all(reporter, &Herd::of_five().as_for_users(), "automatic authority")
}

/// Renews all nodes, rolls the authority over, renews, retires the old authority and renews once more, under load.
fn renew_all(reporter: &mut Reporter<'_>, herd: &Herd, authority: &str) -> Result<()> {
    let names = herd.names();
    let mut nodes: BTreeMap<&str, Process> = names.iter().map(|node| (*node, herd.run_without_waiting(node))).collect();
    nodes.iter_mut().for_each(|(name, node)| node.await_line(&format!("{name} ready")));
    herd.await_linked(&names);
    let load = OpenLoad {
        name: "renewal".into(),
        nodes: names.iter().map(|node| herd.address(node)).collect(),
        connections_per_node: 10,
        rate: RATE,
        clients: Clients::New { reports_each: 2 },
    };
    let load = load.start();
    load.await_acknowledged(1000)?;
    let links = Links::watch(names.iter().map(|node| herd.operator(node)).collect());
    let began = Instant::now();
    for step in [None, Some("roll"), Some("retire")] {
        if let Some(step) = step {
            type_certs(herd, &[step])?;
        }
        type_certs(herd, &[&["renew"][..], &names].concat())?;
        install(herd)?;
        for (name, node) in &nodes {
            let file = Credentials::load(&credentials_path(&herd.state_directory(), name))?;
            node.await_log(&["certificate and trust renewed", &file.certificate().serial().short()]);
        }
        // With the new certificates, and with what links pass on.
        load.await_acknowledged(load.acknowledged() + RATE as u64)?;
    }
    let took = began.elapsed();
    let Seen { longest, downs, looks } = links.stop()?;
    let ledger = load.stop();
    let value = format!("{} ms ({downs} downs, {looks} looks)", longest.as_millis());
    reporter.show(&format!("{authority}: longest time without a link"), value, longest <= DOWN_MAX);
    let (mut clients, mut lost, mut examples) = (0, 0, vec![]);
    // Links pass on what was acknowledged last.
    eventually("equal records at all nodes", || {
        let digests: BTreeSet<String> = names.iter().map(|node| herd.digest(node)).collect();
        if digests.len() == 1 { Ok(()) } else { Err(format!("{digests:?}")) }
    });
    for node in &names {
        let found = ledger.read_back(herd.address(node)).with_context(|| format!("at {node}"))?;
        (clients, lost) = (clients + found.clients, lost + found.lost);
        examples.extend(found.examples);
    }
    examples.iter().for_each(|example| reporter.tell("lost", example));
    let unanswered = ledger.unanswered + ledger.unconfirmed;
    let value = format!("{lost} of {} ({clients} read back)", ledger.acknowledged);
    let holds = lost == 0 && ledger.acknowledged > 0;
    reporter.show(&format!("{authority}: acknowledged reports lost"), value, holds);
    let value = format!("{}, and {unanswered} without an answer", ledger.wrong.len());
    reporter.show(&format!("{authority}: wrong answers"), value, ledger.wrong.is_empty() && unanswered == 0);
    reporter.tell("renewed three times and rolled over in", format!("{:.1} s", took.as_secs_f64()));
    Ok(())
}

/// Types a `herd certs` command in the directory of the herd.
fn type_certs(herd: &Herd, arguments: &[&str]) -> Result<()> {
    let mut command = herd.command(&[&["certs"], arguments].concat());
    let output = command.current_dir(herd.scratch().directory()).output()?;
    ensure!(output.status.success(), "herd certs {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Installs the files of all nodes, which lie in the directory of the herd.
fn install(herd: &Herd) -> Result<()> {
    herd.names().iter().try_for_each(|node| type_certs(herd, &["install", &format!("{node}.pem")]))
}

/// Links of all nodes, watched by a thread.
struct Links {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Seen>>,
}

/// Observations of the links.
#[derive(Default)]
struct Seen {
    /// Longest time from a look at which a link was up to a later one at which it was still down, or down again.
    longest: Duration,
    /// Looks at which a link was down.
    downs: usize,
    looks: usize,
}

impl Links {
    fn watch(operators: Vec<Operator>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            let mut last_up: BTreeMap<(usize, String), Instant> = BTreeMap::new();
            while !ends.load(Ordering::Relaxed) {
                for (node, operator) in operators.iter().enumerate() {
                    // Before the request, so that no time is counted as up that was not.
                    let now = Instant::now();
                    let status = operator.status().context("status of a node")?;
                    seen.looks += 1;
                    for link in status["links"].as_array().context("links in the status")? {
                        let key = (node, link["peer"].as_str().unwrap_or_default().to_string());
                        let last_up = last_up.entry(key).or_insert(now);
                        if link["state"] == "down" {
                            seen.downs += 1;
                            seen.longest = seen.longest.max(now - *last_up);
                        } else {
                            *last_up = now;
                        }
                    }
                }
                thread::sleep(LOOK);
            }
            Ok(seen)
        });
        Self { is_over, thread }
    }

    fn stop(self) -> Result<Seen> {
        self.is_over.store(true, Ordering::Relaxed);
        let began = Instant::now();
        while !self.thread.is_finished() {
            ensure!(began.elapsed() < WAIT_MAX, "the status of a node does not come");
            thread::sleep(LOOK);
        }
        self.thread.join().map_err(|_| anyhow::anyhow!("the look at the links panicked"))?
    }
}

/// Address of the links of a herd whose authority is an operator's.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Reports a second.
const RATE: f64 = 2000.0;
const DOWN_MAX: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(10);
