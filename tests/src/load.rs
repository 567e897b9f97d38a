//! Load on a herd, every answer of which is checked.
//!
//! A session sends a command, waits for the whole answer, and compares it byte for byte with what it must be: the
//! client's own fields, the copy of an invalid command, the `AT` line that was given before. So a line that is lost,
//! answered twice or answered by the reply of another shows as a wrong answer of the session, and a connection that
//! closes as a session that dropped.
//!
//! Closed loop: the rate is kept by waiting between commands, never by having more than one under way in a session.
//! Times are therefore those of a client that waits, and not corrected for coordinated omission.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};

use crate::PATIENCE;

/// What to put on a herd.
#[derive(Clone, Debug)]
pub struct Load {
    /// Name and client address of each node.
    pub nodes: Vec<(String, SocketAddr)>,
    /// Sessions on each node that mix `IAMAT`s with invalid commands.
    pub sessions_per_node: usize,
    /// Further sessions on each node that do nothing but ask for places, so that upstream requests are always under way.
    pub askers_per_node: usize,
    /// Commands a second of all sessions together. None: as fast as they are answered.
    pub rate: Option<f64>,
}

/// Load under way.
pub struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    started: Instant,
}

/// What became of a load.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Commands that were answered as they must be, those of askers left out.
    pub answered: u64,
    /// Answers with places.
    pub places: u64,
    /// In seconds.
    pub lasted_s: f64,
    /// Sessions whose connection ended or broke before the load did, and answers that were wrong: what happened to the
    /// first few of them.
    pub failures: Vec<String>,
    /// How many those were.
    pub failed: usize,
    /// How many of those were sessions that the node closed or broke.
    pub dropped: usize,
    /// Times from command to answer in microseconds, sorted, those of askers left out.
    pub times_us: Vec<u64>,
}

#[derive(Default)]
struct Shared {
    ending: AtomicBool,
    answered: AtomicU64,
    places: AtomicU64,
    failed: AtomicUsize,
    dropped: AtomicUsize,
    failures: Mutex<Vec<String>>,
    times_us: Mutex<Vec<u64>>,
}

impl Load {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When a thread cannot be started.
    #[must_use]
    pub fn start(&self) -> Running {
        let shared = Arc::new(Shared::default());
        let (load, running) = (self.clone(), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(load.run(running));
        });
        Running { shared, thread: Some(thread), started: Instant::now() }
    }

    async fn run(self, shared: Arc<Shared>) {
        let count = self.nodes.len() * self.sessions_per_node;
        #[allow(clippy::cast_precision_loss, reason = "a number of sessions")]
        let every = self.rate.map(|rate| Duration::from_secs_f64(count as f64 / rate));
        let mut sessions = tokio::task::JoinSet::new();
        for (node, address) in &self.nodes {
            for number in 0..self.sessions_per_node + self.askers_per_node {
                let asks = number >= self.sessions_per_node;
                let client = format!("load-{node}-{number}");
                let session =
                    Session { node: node.clone(), address: *address, client, every, shared: Arc::clone(&shared) };
                sessions.spawn(async move {
                    if let Err(error) = session.run(asks).await {
                        session.shared.fail(&session.client, &error);
                    }
                });
            }
        }
        while sessions.join_next().await.is_some() {}
    }
}

impl Running {
    /// How many commands were answered by now.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// The times since the last call of this, or since it was started, in microseconds, sorted. The outcome has them not.
    #[must_use]
    pub fn take_times_us(&self) -> Vec<u64> {
        self.shared.take_times_us()
    }

    /// Ends it: every session finishes its command, ends its input, and must then see the end and nothing else.
    ///
    /// # Panics
    ///
    /// When the thread of the load panicked.
    #[must_use]
    pub fn stop(mut self) -> Outcome {
        self.shared.ending.store(true, Ordering::Relaxed);
        let lasted_s = self.started.elapsed().as_secs_f64();
        self.thread.take().expect("it is stopped once").join().expect("the load does not panic");
        Outcome {
            answered: self.shared.answered.load(Ordering::Relaxed),
            places: self.shared.places.load(Ordering::Relaxed),
            lasted_s,
            failures: self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            failed: self.shared.failed.load(Ordering::Relaxed),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
            times_us: self.shared.take_times_us(),
        }
    }
}

impl Outcome {
    /// Answers a second.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.lasted_s
    }

    /// A quantile of the times, 0 to 1, in microseconds.
    #[must_use]
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self::quantile_us(&self.times_us, quantile)
    }
}

/// A quantile, 0 to 1, of times that are sorted. 0 if there are none.
#[must_use]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
pub fn quantile_us(times_us: &[u64], quantile: f64) -> u64 {
    let index = (times_us.len() as f64 * quantile) as usize;
    times_us.get(index.min(times_us.len().saturating_sub(1))).copied().unwrap_or_default()
}

impl Shared {
    fn take_times_us(&self) -> Vec<u64> {
        let mut times_us = std::mem::take(&mut *self.times_us.lock().unwrap_or_else(PoisonError::into_inner));
        times_us.sort_unstable();
        times_us
    }

    fn fail(&self, client: &str, error: &anyhow::Error) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        // What breaks a session reaches it as an error of its socket.
        if error.chain().any(|cause| cause.is::<std::io::Error>()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < FAILURES_SHOWN {
            failures.push(format!("{client}: {error:#}"));
        }
    }
}

struct Session {
    node: String,
    address: SocketAddr,
    client: String,
    every: Option<Duration>,
    shared: Arc<Shared>,
}

impl Session {
    async fn run(&self, asks: bool) -> Result<()> {
        let stream = timeout(PATIENCE, TcpStream::connect(self.address)).await.context("connect")??;
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let mut at = self.iamat(&mut stream, 0).await?;
        let mut due = TokioInstant::now();
        for number in 1_u64.. {
            if self.shared.ending.load(Ordering::Relaxed) {
                break;
            }
            if let Some(every) = self.every.filter(|_| !asks) {
                due += every;
                sleep_until(due).await;
            }
            let began = Instant::now();
            if asks {
                self.whatsat(&mut stream, &at).await?;
                self.shared.places.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            if number % INVALID_EVERY == 0 {
                self.invalid(&mut stream, number).await?;
            } else {
                at = self.iamat(&mut stream, number).await?;
            }
            self.shared.answered.fetch_add(1, Ordering::Relaxed);
            let time_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.shared.times_us.lock().unwrap_or_else(PoisonError::into_inner).push(time_us);
        }
        stream.get_mut().shutdown().await?;
        let mut rest = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut rest)).await.context("waiting for the end")??;
        ensure!(rest.is_empty(), "answered twice: {:?}", String::from_utf8_lossy(&rest));
        Ok(())
    }

    async fn iamat(&self, stream: &mut BufReader<TcpStream>, number: u64) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let micro = number % 1_000_000;
        let fields = format!("{} +34.{micro:06}-118.445127 {}.{:09}", self.client, now.as_secs(), now.subsec_nanos());
        let answer = self.ask(stream, &format!("IAMAT {fields}\n")).await?;
        let skew = answer
            .strip_prefix(&format!("AT {} ", self.node))
            .and_then(|rest| rest.strip_suffix(&format!(" {fields}\n")))
            .filter(|skew| skew.starts_with(['+', '-']) && !skew.contains(' '));
        ensure!(skew.is_some(), "IAMAT {fields} was answered with {answer:?}");
        Ok(answer)
    }

    async fn invalid(&self, stream: &mut BufReader<TcpStream>, number: u64) -> Result<()> {
        let line = format!("NONSENSE  {} {number} ", self.client);
        let answer = self.ask(stream, &format!("{line}\r\n")).await?;
        ensure!(answer == format!("? {line}\n"), "{line:?} was answered with {answer:?}");
        Ok(())
    }

    async fn whatsat(&self, stream: &mut BufReader<TcpStream>, at: &str) -> Result<()> {
        let answer = self.ask(stream, &format!("WHATSAT {} 10 3\n", self.client)).await?;
        ensure!(answer == at, "WHATSAT was answered with {answer:?} and not {at:?}");
        let mut json = String::new();
        while !json.ends_with("\n\n") {
            let read = timeout(PATIENCE, stream.read_line(&mut json)).await.context("waiting for places")??;
            ensure!(read > 0, closed("within an answer"));
        }
        let json: serde_json::Value = serde_json::from_str(&json).with_context(|| format!("{json:?}"))?;
        ensure!(json["status"] == "OK", "places came with {json}");
        Ok(())
    }

    async fn ask(&self, stream: &mut BufReader<TcpStream>, line: &str) -> Result<String> {
        stream.get_mut().write_all(line.as_bytes()).await.context("sending")?;
        let mut answer = String::new();
        let read = timeout(PATIENCE, stream.read_line(&mut answer)).await.context("waiting for an answer")??;
        ensure!(read > 0, closed("and did not answer"));
        Ok(answer)
    }
}

fn closed(when: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::UnexpectedEof, format!("the node closed the session {when}"))
}

const FAILURES_SHOWN: usize = 5;
const INVALID_EVERY: u64 = 8;
