//! Reports by the client libraries, Rust and Python: ever new clients from many tasks at once, and what became of them.
//!
//! Bounds: [`TASKS`] calls at a time; a call has the time that the library gives it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use herd_client::{HerdClient, Options, Report};
use tokio::task::JoinSet;

use crate::{Ledger, eventually};

/// Running load by one library. Stops when dropped.
pub struct LibraryLoad {
    outcome: Arc<Mutex<LibraryOutcome>>,
    ending: Arc<AtomicBool>,
    python: Option<Child>,
    thread: Option<JoinHandle<()>>,
}

/// Outcome of a load by a library.
#[derive(Clone, Debug)]
pub struct LibraryOutcome {
    /// What was acknowledged.
    pub ledger: Ledger,
    /// Number of calls that failed.
    pub failed: u64,
    /// Descriptions of the first few of them.
    pub examples: Vec<String>,
}

impl LibraryLoad {
    /// Starts reports by the Rust library over these nodes.
    ///
    /// # Panics
    ///
    /// If a thread cannot be started.
    #[must_use]
    pub fn rust(name: &str, nodes: &[SocketAddr]) -> Self {
        let (outcome, ending) = (LibraryOutcome::new(name), Arc::new(AtomicBool::new(false)));
        let (noted, is_ending) = (Arc::clone(&outcome), Arc::clone(&ending));
        let (name, nodes): (String, Vec<String>) = (name.into(), nodes.iter().map(ToString::to_string).collect());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(report(&name, &nodes, &noted, &is_ending));
        });
        Self { outcome, ending, python: None, thread: Some(thread) }
    }

    /// Starts reports by the Python library over these nodes, in a process of their own.
    ///
    /// # Panics
    ///
    /// If there is no Python.
    #[must_use]
    pub fn python(name: &str, nodes: &[SocketAddr]) -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/client/python");
        let mut command = Command::new("python3");
        command.arg(package.join("examples/load.py")).arg(name).args(nodes.iter().map(ToString::to_string));
        command.env("PYTHONPATH", package.join("src")).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut python = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 starts");
        let lines = BufReader::new(python.stdout.take().expect("the output is piped")).lines();
        let (outcome, ending) = (LibraryOutcome::new(name), Arc::new(AtomicBool::new(false)));
        let noted = Arc::clone(&outcome);
        let thread = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let fields: Vec<&str> = line.split(' ').collect();
                let mut outcome = noted.lock().unwrap_or_else(PoisonError::into_inner);
                match fields[..] {
                    ["ack", number, unix_ns] => outcome.ledger.acknowledge(
                        number.parse().expect("the program prints a number"),
                        unix_ns.parse().expect("the program prints a time"),
                    ),
                    _ => outcome.note_failed(line),
                }
            }
        });
        Self { outcome, ending, python: Some(python), thread: Some(thread) }
    }

    /// Number of reports acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).ledger.acknowledged
    }

    /// Waits for so many more acknowledgements.
    ///
    /// # Panics
    ///
    /// If they do not come in [`WAIT_MAX`](crate::WAIT_MAX).
    #[track_caller]
    pub fn await_more(&self, count: u64) {
        let before = self.acknowledged();
        eventually("reports are acknowledged", || match self.acknowledged() - before {
            more if more >= count => Ok(()),
            more => Err(format!("only {more} of {count}")),
        });
    }

    /// Begins no further call, waits for those under way, and returns what became of all.
    ///
    /// # Panics
    ///
    /// If the load panicked, or its program failed.
    #[must_use]
    pub fn stop(mut self) -> LibraryOutcome {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(mut python) = self.python.take() {
            // The end of its input.
            drop(python.stdin.take());
            let status = python.wait().expect("a process of our own can be waited for");
            assert!(status.success(), "the program of the Python library: {status}");
        }
        self.thread.take().expect("it stops once").join().expect("the load does not panic");
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for LibraryLoad {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(mut python) = self.python.take() {
            let _ = python.kill();
            let _ = python.wait();
        }
    }
}

impl LibraryOutcome {
    fn new(name: &str) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { ledger: Ledger::new(name), failed: 0, examples: vec![] }))
    }

    fn note_failed(&mut self, why: String) {
        self.failed += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(why);
        }
    }
}

/// Reports from many tasks until it is to end.
async fn report(name: &str, nodes: &[String], outcome: &Arc<Mutex<LibraryOutcome>>, ending: &Arc<AtomicBool>) {
    let herd = HerdClient::new(nodes, Options::default()).expect("the nodes have addresses");
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (name, herd, next) = (name.to_owned(), herd.clone(), Arc::clone(&next));
        let (outcome, ending) = (Arc::clone(outcome), Arc::clone(ending));
        tasks.spawn(async move {
            while !ending.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                call(&herd, &format!("{name}-{number}"), number, &outcome).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no task panics");
    }
}

/// Reports a client and asks for it. A herd that does not know it yet is no failure: the node that has the report may be gone for now.
async fn call(herd: &HerdClient, client: &str, number: u64, outcome: &Mutex<LibraryOutcome>) {
    let outcome = || outcome.lock().unwrap_or_else(PoisonError::into_inner);
    let report = Report::now(client, 34.06893, -118.445127).expect("it is a report");
    match herd.report(&report).await {
        Ok(at) => outcome().ledger.acknowledge(number, u64::try_from(at.unix_ns).expect("the present fits")),
        Err(error) => outcome().note_failed(error.to_string()),
    }
    if let Err(error) = herd.whats_at(client, 0.0, 0).await {
        outcome().note_failed(error.to_string());
    }
}

/// Calls at a time, and the pause of each task after two calls, which leaves the processors to the nodes.
const TASKS: usize = 16;
const PAUSE: Duration = Duration::from_millis(4);
const EXAMPLES_MAX: usize = 3;
