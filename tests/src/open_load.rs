//! Open-loop reports with a ledger: what was acknowledged is what a herd must still have after whatever happened meanwhile.
//!
//! A report is sent when it is due, whether or not earlier ones are answered. A connection that breaks is made again; its
//! reports in flight count as unanswered. Bounds: [`IN_FLIGHT_MAX`] reports a connection wait for an answer, later ones are not
//! sent; a stop waits [`LAST_ANSWERS_MAX`] for the last answers.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::ledger::seconds;
use crate::{Ledger, WAIT_MAX};

/// Reports to send.
#[derive(Clone, Debug)]
pub struct OpenLoad {
    /// Beginning of the names of its clients.
    pub name: String,
    /// Client addresses of the nodes. Connections are spread evenly.
    pub nodes: Vec<SocketAddr>,
    /// Connections to each node.
    pub connections_per_node: usize,
    /// Reports per second of all connections together.
    pub rate: f64,
    /// Client that reports.
    pub clients: Clients,
}

/// Clients of a load.
#[derive(Clone, Copy, Debug)]
pub enum Clients {
    /// Ever new ones. Each reports so many times, at different nodes, and then never again, so that nothing hides what it lost.
    New {
        /// Reports of each client.
        reports_each: u64,
    },
    /// So many, in turn.
    Same {
        /// Number of clients.
        count: u64,
    },
}

/// A running load. Stops and discards its ledger when dropped.
pub struct RunningOpenLoad {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    load: OpenLoad,
    ending: AtomicBool,
    /// Number of the next report.
    next: AtomicU64,
    /// Time of the last report, because no two reports may have the same.
    last_ns: AtomicU64,
    ledger: Mutex<Ledger>,
}

struct Connection {
    shared: Arc<Shared>,
    address: SocketAddr,
    every: Duration,
    due: Instant,
}

impl OpenLoad {
    /// Starts the load on a thread of its own.
    ///
    /// # Panics
    ///
    /// If a thread cannot be started.
    #[must_use]
    pub fn start(&self) -> RunningOpenLoad {
        let shared = Arc::new(Shared {
            load: self.clone(),
            ending: AtomicBool::new(false),
            next: AtomicU64::new(0),
            last_ns: AtomicU64::new(0),
            ledger: Mutex::new(Ledger::new(&self.name)),
        });
        let running = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(run(running));
        });
        RunningOpenLoad { shared, thread: Some(thread) }
    }
}

impl RunningOpenLoad {
    /// Number of reports acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.shared.ledger().acknowledged
    }

    /// Number of `? ` copies so far.
    #[must_use]
    pub fn unconfirmed(&self) -> u64 {
        self.shared.ledger().unconfirmed
    }

    /// Waits until the load has had so many acknowledgements.
    ///
    /// # Errors
    ///
    /// They do not come in time.
    pub fn await_acknowledged(&self, count: u64) -> Result<()> {
        let began = std::time::Instant::now();
        while self.acknowledged() < count {
            let so_far = self.acknowledged();
            ensure!(began.elapsed() < WAIT_MAX, "only {so_far} of {count} reports were acknowledged in time");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Sends nothing from now on.
    pub fn end(&self) {
        self.shared.ending.store(true, Ordering::Relaxed);
    }

    /// Stops the load, waits for the last answers, and returns the ledger.
    ///
    /// # Panics
    ///
    /// If the thread of the load panicked.
    #[must_use]
    pub fn stop(mut self) -> Ledger {
        self.end();
        self.thread.take().expect("it is stopped once").join().expect("the load does not panic");
        self.shared.ledger().clone()
    }
}

impl Drop for RunningOpenLoad {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Client of the next report.
    fn next_client(&self) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        match self.load.clients {
            Clients::Same { count } => number % count,
            // In rounds over a block of clients, so that a client's reports are apart and reach different nodes.
            Clients::New { reports_each } => number / (BLOCK * reports_each) * BLOCK + number % BLOCK,
        }
    }

    /// Time of the next report.
    fn next_ns(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        let now_ns = u64::try_from(now.as_nanos()).expect("the clock is before 2554");
        let next = |last_ns: u64| now_ns.max(last_ns + 1);
        let last_ns = self.last_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last_ns| Some(next(last_ns)));
        next(last_ns.unwrap_or_else(|last_ns| last_ns))
    }
}

async fn run(shared: Arc<Shared>) {
    let load = &shared.load;
    let count = load.nodes.len() * load.connections_per_node;
    #[allow(clippy::cast_precision_loss, reason = "a number of connections")]
    let every = Duration::from_secs_f64(count as f64 / load.rate);
    let mut connections = tokio::task::JoinSet::new();
    for number in 0..count {
        let address = load.nodes[number % load.nodes.len()];
        // Spread over the interval, or all connections would send at the same moment.
        let due = Instant::now()
            + every
                .mul_f64(f64::from(u32::try_from(number).unwrap_or(0)) / f64::from(u32::try_from(count).unwrap_or(1)));
        let connection = Connection { shared: Arc::clone(&shared), address, every, due };
        connections.spawn(connection.run());
    }
    while connections.join_next().await.is_some() {}
}

impl Connection {
    async fn run(mut self) {
        while !self.shared.is_ending() {
            let mut in_flight = VecDeque::new();
            if let Ok(Ok(stream)) = timeout(CONNECT_MAX, TcpStream::connect(self.address)).await {
                // An error means that the node went away, which is what a ledger is for.
                let _ = self.exchange(stream, &mut in_flight).await;
            }
            sleep(RECONNECT).await;
            let mut ledger = self.shared.ledger();
            ledger.unanswered += in_flight.len() as u64;
            while self.due <= Instant::now() {
                ledger.unsent += 1;
                self.due += self.every;
            }
        }
    }

    /// Sends what is due and takes answers until the end of the load or of the connection.
    async fn exchange(&mut self, stream: TcpStream, in_flight: &mut VecDeque<(u64, u64)>) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let (source, mut sink) = stream.into_split();
        let (mut source, mut answer, mut lines) = (BufReader::new(source), Vec::new(), String::new());
        let mut last_answers = None;
        loop {
            if self.shared.is_ending() {
                let until = *last_answers.get_or_insert_with(|| Instant::now() + LAST_ANSWERS_MAX);
                if in_flight.is_empty() || Instant::now() > until {
                    return Ok(());
                }
                self.due = Instant::now() + ENDING_TICK;
            }
            tokio::select! {
                biased;
                // Cancel safe: what was read stays in `answer`.
                read = source.read_until(b'\n', &mut answer) => {
                    if read? == 0 {
                        return Err(std::io::ErrorKind::UnexpectedEof.into());
                    }
                    self.take(in_flight.pop_front(), &String::from_utf8_lossy(&answer));
                    answer.clear();
                }
                () = sleep_until(self.due) => {
                    if self.shared.is_ending() {
                        continue;
                    }
                    lines.clear();
                    self.write_due(in_flight, &mut lines);
                    timeout(CONNECT_MAX, sink.write_all(lines.as_bytes())).await??;
                }
            }
        }
    }

    fn write_due(&mut self, in_flight: &mut VecDeque<(u64, u64)>, lines: &mut String) {
        while self.due <= Instant::now() {
            self.due += self.every;
            if in_flight.len() >= IN_FLIGHT_MAX {
                self.shared.ledger().unsent += 1;
                continue;
            }
            let (client, time_ns) = (self.shared.next_client(), self.shared.next_ns());
            let (name, micro, time) = (&self.shared.load.name, client % 1_000_000, seconds(time_ns));
            let _ = writeln!(lines, "IAMAT {name}-{client} +34.{micro:06}-118.445127 {time}");
            in_flight.push_back((client, time_ns));
        }
    }

    fn take(&self, sent: Option<(u64, u64)>, answer: &str) {
        let mut ledger = self.shared.ledger();
        let Some((client, time_ns)) = sent else { return ledger.note_wrong(answer) };
        let (name, time) = (format!("{}-{client}", self.shared.load.name), seconds(time_ns));
        let fields: Vec<&str> = answer.split_ascii_whitespace().collect();
        match *fields {
            ["AT", _, _, client_name, _, of] if client_name == name && of == time => {
                ledger.acknowledge(client, time_ns);
            }
            ["?", "IAMAT", client_name, _, of] if client_name == name && of == time => ledger.unconfirmed += 1,
            _ => ledger.note_wrong(answer),
        }
    }
}

/// Clients that report in turn before the next ones do.
const BLOCK: u64 = 200;
const CONNECT_MAX: Duration = Duration::from_secs(5);
const RECONNECT: Duration = Duration::from_millis(10);
const ENDING_TICK: Duration = Duration::from_millis(5);
const IN_FLIGHT_MAX: usize = 10_000;
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(5);
