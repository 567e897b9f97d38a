//! Load on a herd, with every answer checked.
//!
//! A session sends a command, waits for the whole answer, and compares it byte for byte with the expected one: the client's own
//! fields, the copy of an invalid command, or the `AT` line of its last report. A lost line, a duplicate reply or the reply of
//! another session therefore shows as a wrong answer, and a closed connection as a dropped session.
//!
//! Closed loop: a session waits between commands to keep its rate and never has more than one command in flight, which bounds
//! the load. The times are those of a waiting client and are not corrected for coordinated omission.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};

use crate::WAIT_MAX;

/// Configuration of a load.
#[derive(Clone, Debug)]
pub struct Load {
    /// Name and client address of each node.
    pub nodes: Vec<(String, SocketAddr)>,
    /// Sessions on each node that mix `IAMAT`s with invalid commands.
    pub sessions_per_node: usize,
    /// Further sessions on each node that only query places, so that upstream requests are always in flight.
    pub askers_per_node: usize,
    /// Commands per second of all sessions together. `None`: each session sends as soon as its last command is answered.
    pub rate: Option<f64>,
}

/// A running load.
pub struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    started: Instant,
}

/// Result of a load.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Correctly answered commands, without those of askers.
    pub answered: u64,
    /// Correct answers with places.
    pub places: u64,
    /// Duration in seconds.
    pub lasted_s: f64,
    /// Descriptions of the first few failures: connections that ended or broke before the load did, and wrong answers.
    pub failures: Vec<String>,
    /// Number of all failures.
    pub failed: usize,
    /// Number of failures that were sessions closed or broken by the node.
    pub dropped: usize,
    /// Times from command to answer in microseconds, sorted, without those of askers.
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
    /// Starts the load on a thread of its own.
    ///
    /// # Panics
    ///
    /// If a thread cannot be started.
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
    /// Number of commands answered so far, without those of askers.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Takes the times since the last call, or since the start, in microseconds, sorted. They are missing from the outcome.
    #[must_use]
    pub fn take_times_us(&self) -> Vec<u64> {
        self.shared.take_times_us()
    }

    /// Stops the load: every session finishes its command, half-closes, and must then read the end of the output and nothing else.
    ///
    /// # Panics
    ///
    /// If the thread of the load panicked.
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
    /// Answers per second.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.lasted_s
    }

    /// Quantile of the times in microseconds; `quantile` is 0 to 1.
    #[must_use]
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self::quantile_us(&self.times_us, quantile)
    }
}

/// Quantile, 0 to 1, of sorted times in microseconds. 0 if there are none.
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
        // A session that the node closes or breaks fails with an IO error; a wrong answer does not.
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
        let stream = timeout(WAIT_MAX, TcpStream::connect(self.address)).await.context("connect")??;
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
        timeout(WAIT_MAX, stream.read_to_end(&mut rest)).await.context("waiting for the end")??;
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
            let read = timeout(WAIT_MAX, stream.read_line(&mut json)).await.context("waiting for places")??;
            ensure!(read > 0, closed("within an answer"));
        }
        let json: serde_json::Value = serde_json::from_str(&json).with_context(|| format!("{json:?}"))?;
        ensure!(json["status"] == "OK", "places came with {json}");
        Ok(())
    }

    async fn ask(&self, stream: &mut BufReader<TcpStream>, line: &str) -> Result<String> {
        stream.get_mut().write_all(line.as_bytes()).await.context("sending")?;
        let mut answer = String::new();
        let read = timeout(WAIT_MAX, stream.read_line(&mut answer)).await.context("waiting for an answer")??;
        ensure!(read > 0, closed("and did not answer"));
        Ok(answer)
    }
}

fn closed(when: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::UnexpectedEof, format!("the node closed the session {when}"))
}

const FAILURES_SHOWN: usize = 5;
const INVALID_EVERY: u64 = 8;
