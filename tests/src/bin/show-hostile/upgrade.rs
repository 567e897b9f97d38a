//! The binary replaced under load: no connection refused, no wrong answer, nothing acknowledged lost, and how long a client waits.
//!
//! The new binary is a copy of the old one with one more byte, so its digest differs and its code does not: what is measured is the
//! hand-over, and neither a new format nor another compiler. Clients connect anew for each report and report in an open loop: a wait
//! counts from the moment at which the report was due, over as many connections as it takes. Others stay connected.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Clients, Herd, Ledger, OpenLoad, Reporter, Rounds, Row, WAIT_MAX};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub(crate) const ROW: Row = Row {
    name: "upgrade",
    figures: &[
        Bar { figure: "binary replaced: connections refused", bar: "0" },
        Bar { figure: "binary replaced: wrong answers", bar: "0" },
        Bar { figure: "binary replaced: acknowledged reports lost", bar: "0" },
        Bar { figure: "binary replaced: longest wait of a client", bar: "at most 1000 ms" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::of_one().as_for_users();
    let program = herd.scratch().path("herd-installed");
    copy(&program, 0)?;
    let mut riley = herd.run_program(&program, "Riley");
    let address = herd.address("Riley");
    let known = fill(address)?;
    let staying = OpenLoad {
        name: "staying".into(),
        nodes: vec![address],
        connections_per_node: STAYING,
        rate: STAYING_RATE,
        clients: Clients::New { reports_each: 2 },
    };
    let (staying, coming) = (staying.start(), Coming::start(address));
    let mut back_ms = vec![];
    for number in 1..=UPGRADES {
        std::thread::sleep(BETWEEN);
        let new = herd.scratch().path("herd-new");
        copy(&new, number)?;
        std::fs::rename(&new, &program)?;
        let upgraded = herd.herd(&["upgrade", "--json"]);
        let errors = String::from_utf8_lossy(&upgraded.stderr).into_owned();
        ensure!(upgraded.status.success(), "{errors}");
        let answer: serde_json::Value = serde_json::from_slice(&upgraded.stdout)?;
        back_ms.push(answer["Riley"]["back_after_ms"].as_f64().context("back_after_ms")?);
        riley.await_line("Riley ready");
    }
    std::thread::sleep(BETWEEN);
    let (coming, staying) = (coming.stop(), staying.stop());
    ensure!(riley.is_running(), "the process has ended");
    let mut lost = 0;
    for ledger in [&known, &coming.ledger, &staying] {
        lost += ledger.read_back(address)?.lost;
    }
    let waits = Rounds::of(coming.waits_ms);
    let wrong = coming.ledger.wrong.len() + staying.wrong.len();
    reporter.show("binary replaced: connections refused", coming.refused, coming.refused == 0);
    reporter.show("binary replaced: wrong answers", wrong, wrong == 0);
    let held = known.acknowledged + coming.ledger.acknowledged + staying.acknowledged;
    reporter.show("binary replaced: acknowledged reports lost", format!("{lost} of {held}"), lost == 0);
    let longest = waits.largest();
    reporter.show("binary replaced: longest wait of a client", format!("{longest:.0} ms"), longest <= 1000.0);
    reporter.tell("upgrades; the node answers again after", Rounds::of(back_ms).text(0, " ms"));
    reporter.tell("connections made, closed before the answer", format!("{}, {}", coming.connections, coming.closed));
    reporter.tell("connections that stayed, reports not answered", format!("{STAYING}, {}", staying.unanswered));
    reporter.tell("median wait", format!("{:.2} ms", waits.median()));
    Ok(())
}

/// Copies the binary with a number of further bytes. By another process: no program may be started while a process has it open to write.
fn copy(to: &Path, bytes: usize) -> Result<()> {
    let from: PathBuf = Herd::binary();
    let script = "cp \"$0\" \"$1\" && chmod u+w \"$1\" && printf %s \"$2\" >> \"$1\"";
    let copied = Command::new("sh").args(["-c", script]).arg(from).arg(to).arg("+".repeat(bytes)).status()?;
    ensure!(copied.success(), "the binary cannot be copied");
    Ok(())
}

/// Reports of so many clients, which are to be there after all upgrades.
fn fill(address: SocketAddr) -> Result<Ledger> {
    let load = OpenLoad {
        name: "known".into(),
        nodes: vec![address],
        connections_per_node: 8,
        rate: 50_000.0,
        clients: Clients::New { reports_each: 1 },
    };
    let running = load.start();
    running.await_acknowledged(RECORDS)?;
    let ledger = running.stop();
    ensure!(ledger.acknowledged >= RECORDS, "only {} reports were acknowledged", ledger.acknowledged);
    Ok(ledger)
}

/// Clients that connect for each report.
struct Coming {
    shared: Arc<Shared>,
    /// Ends with this, so that no later row shares the machine with these clients.
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ending: AtomicBool,
    next: AtomicU64,
    seen: Mutex<Option<Seen>>,
}

/// Observations of these clients.
struct Seen {
    ledger: Ledger,
    refused: u64,
    connections: u64,
    /// Connections that ended before the answer, so that the client connected again.
    closed: u64,
    waits_ms: Vec<f64>,
}

impl Coming {
    fn start(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let seen = Seen { ledger: Ledger::new("coming"), refused: 0, connections: 0, closed: 0, waits_ms: vec![] };
        *shared.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        let running = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(async {
                let mut reports = tokio::task::JoinSet::new();
                let mut due = Instant::now();
                while !running.ending.load(Ordering::Relaxed) {
                    sleep_until(due).await;
                    reports.spawn(Arc::clone(&running).report(address, due));
                    due += Duration::from_secs_f64(1.0 / COMING_RATE);
                    // Those that have ended.
                    while reports.try_join_next().is_some() {}
                }
                while reports.join_next().await.is_some() {}
            });
        });
        Self { shared, thread: Some(thread) }
    }

    fn stop(mut self) -> Seen {
        self.shared.ending.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is stopped once").join().expect("the clients do not panic");
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).take().expect("it is stopped once")
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            note(seen);
        }
    }

    /// Makes one report that is due, over as many connections as it takes.
    async fn report(self: Arc<Self>, address: SocketAddr, due: Instant) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        let time_ns = u64::try_from(now.as_nanos()).expect("the clock is before 2554");
        let time = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
        let line = format!("IAMAT coming-{number} +34.068930-118.445127 {time}");
        while due.elapsed() < WAIT_MAX {
            let Ok(connected) = timeout(WAIT_MAX, TcpStream::connect(address)).await else { continue };
            let Ok(stream) = connected else {
                self.note(|seen| seen.refused += 1);
                sleep(RETRY).await;
                continue;
            };
            self.note(|seen| seen.connections += 1);
            let Some(answer) = ask(stream, &line).await else {
                self.note(|seen| seen.closed += 1);
                sleep(RETRY).await;
                continue;
            };
            let fields: Vec<&str> = answer.split_ascii_whitespace().collect();
            let is_right = matches!(*fields, ["AT", "Riley", _, client, "+34.068930-118.445127", of]
                if client == format!("coming-{number}") && of == time);
            return self.note(|seen| {
                seen.waits_ms.push(due.elapsed().as_secs_f64() * 1e3);
                if is_right { seen.ledger.acknowledge(number, time_ns) } else { seen.ledger.note_wrong(&answer) }
            });
        }
        self.note(|seen| seen.ledger.note_wrong(&format!("no answer to {line} within {WAIT_MAX:?}")));
    }
}

/// Sends a line and returns the answer, or `None` if the connection ends first.
async fn ask(stream: TcpStream, line: &str) -> Option<String> {
    stream.set_nodelay(true).ok()?;
    let (source, mut sink) = stream.into_split();
    sink.write_all(format!("{line}\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    let read = timeout(WAIT_MAX, BufReader::new(source).read_line(&mut answer)).await.ok()?.ok()?;
    (read > 0).then(|| answer.trim_end().into())
}

const RECORDS: u64 = 100_000;
const UPGRADES: usize = 5;
/// Time under load before, between and after upgrades.
const BETWEEN: Duration = Duration::from_secs(2);
/// Connections a second, each with a report.
const COMING_RATE: f64 = 400.0;
/// Connections that stay.
const STAYING: usize = 50;
const STAYING_RATE: f64 = 1000.0;
/// Wait of a client before it connects again.
const RETRY: Duration = Duration::from_millis(5);
