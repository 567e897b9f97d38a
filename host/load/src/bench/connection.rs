//! Connection of a load: sends commands and matches the answers with them, in order.
//!
//! Knows nothing of other connections. Bounds: [`ANSWER_BYTES_MAX`] per answer and [`ANSWER_TIMEOUT`] without progress. The
//! number of commands in flight is bounded in closed loop only; in open loop a stalled server must not slow the load down.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use herd_client::ClientTls;
use herd_client::stream::NodeStream;
use rustix::net::sockopt::set_socket_linger;
use tokio::io::Interest;
use tokio::time::timeout;

use super::commands::{Commands, Expect};
use super::counters::{Answer, Counters};
use super::pacer::Schedule;

/// Connection with the commands it sends until the end of the load.
pub(super) struct Connection {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<ClientTls>,
    /// Closed loop: commands in flight.
    pub(super) pipeline: usize,
    /// Open loop: times at which commands are due.
    pub(super) schedule: Option<Schedule>,
    pub(super) per_command: bool,
    pub(super) commands: Commands,
    pub(super) measure_from: Instant,
    pub(super) end: Instant,
    /// Delay before the first command, different for each connection.
    pub(super) stagger: Duration,
}

/// Reaction to an answer in closed loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Send the next command.
    Next,
    /// Send nothing: the connection is for one command.
    Nothing,
}

/// Commands sent and not answered yet, with the buffers of the connection.
#[derive(Default)]
struct InFlight {
    out: Vec<u8>,
    written: usize,
    /// Input buffer. The bytes from `taken` to `come` have arrived and are not consumed yet.
    input: Vec<u8>,
    taken: usize,
    come: usize,
    /// Expected answers in order, with the time from which the latency of each counts.
    expected: VecDeque<(Expect, Instant)>,
}

impl Connection {
    /// Runs until the end of the load.
    ///
    /// # Errors
    ///
    /// The connection failed. Answers before that are counted.
    pub(super) async fn run(mut self, counters: &RefCell<Counters>) -> io::Result<()> {
        tokio::time::sleep(self.stagger).await;
        if self.per_command {
            while Instant::now() < self.end {
                let mut in_flight = InFlight::default();
                self.send(&mut in_flight, Instant::now());
                let stream = self.connect().await?;
                self.exchange(&stream, &mut in_flight, counters, After::Nothing).await?;
                // Reset in place of an orderly close, which would block the local port for a minute (TIME_WAIT); there are only
                // 28,000 of them.
                set_socket_linger(stream.tcp(), Some(Duration::ZERO))?;
            }
            return Ok(());
        }
        let stream = self.connect().await?;
        let mut in_flight = InFlight::default();
        if let Some(schedule) = self.schedule.take() {
            return self.keep_rate(&stream, &mut in_flight, counters, &schedule).await;
        }
        for _ in 0..self.pipeline {
            self.send(&mut in_flight, Instant::now());
        }
        self.exchange(&stream, &mut in_flight, counters, After::Next).await
    }

    async fn connect(&self) -> io::Result<NodeStream> {
        let connecting = NodeStream::connect(self.address, self.tls.as_ref());
        timeout(ANSWER_TIMEOUT, connecting).await.map_err(|_| stalled())?
    }

    fn send(&mut self, in_flight: &mut InFlight, from: Instant) {
        let expect = self.commands.write(&mut in_flight.out);
        in_flight.expected.push_back((expect, from));
    }

    /// Closed loop: reads until all commands are answered; `after` says what follows an answer before the end of the load.
    async fn exchange(
        &mut self,
        stream: &NodeStream,
        in_flight: &mut InFlight,
        counters: &RefCell<Counters>,
        after: After,
    ) -> io::Result<()> {
        while !in_flight.expected.is_empty() {
            in_flight.write(stream)?;
            timeout(ANSWER_TIMEOUT, stream.ready(in_flight.interest())).await.map_err(|_| stalled())??;
            let now = in_flight.read(stream)?;
            while let Some(answer) = in_flight.answer()? {
                counters.borrow_mut().count(&answer, now, self.measure_from);
                if after == After::Next && now < self.end {
                    self.send(in_flight, now);
                }
            }
        }
        Ok(())
    }

    /// Open loop: sends a command whenever one is due; its latency counts from then, also when it is sent late.
    async fn keep_rate(
        &mut self,
        stream: &NodeStream,
        in_flight: &mut InFlight,
        counters: &RefCell<Counters>,
        schedule: &Schedule,
    ) -> io::Result<()> {
        let mut due = schedule.first;
        loop {
            let now = Instant::now();
            while due <= now && due < self.end {
                self.send(in_flight, due);
                due += schedule.every;
            }
            if due >= self.end && in_flight.expected.is_empty() {
                return Ok(());
            }
            in_flight.write(stream)?;
            let is_due = tokio::select! {
                ready = timeout(ANSWER_TIMEOUT, stream.ready(in_flight.interest())) => {
                    ready.map_err(|_| stalled())??;
                    false
                }
                () = schedule.wake.notified() => true,
            };
            if is_due {
                continue;
            }
            let now = in_flight.read(stream)?;
            while let Some(answer) = in_flight.answer()? {
                counters.borrow_mut().count(&answer, now, self.measure_from);
            }
        }
    }
}

impl InFlight {
    fn interest(&self) -> Interest {
        if self.written < self.out.len() { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE }
    }

    fn write(&mut self, stream: &NodeStream) -> io::Result<()> {
        while self.written < self.out.len() {
            match stream.try_write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads what has arrived, and returns the time after that.
    fn read(&mut self, stream: &NodeStream) -> io::Result<Instant> {
        // Moved to the front only when space runs out, so that pipelined answers are not copied one by one.
        if self.taken == self.come {
            (self.taken, self.come) = (0, 0);
        }
        if self.input.len() - self.come < READ_BYTES {
            self.input.copy_within(self.taken..self.come, 0);
            (self.taken, self.come) = (0, self.come - self.taken);
            self.input.resize(self.come + 2 * READ_BYTES, 0);
        }
        match stream.try_read(&mut self.input[self.come..]) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            Ok(count) => self.come += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(Instant::now())
    }

    /// Consumes the next complete answer.
    ///
    /// # Errors
    ///
    /// An answer without a command, or one that exceeds its limit.
    fn answer(&mut self) -> io::Result<Option<Answer<'_>>> {
        let input = &self.input[self.taken..self.come];
        let Some(&(expect, from)) = self.expected.front() else {
            return if input.is_empty() {
                Ok(None)
            } else {
                Err(invalid("the server sent more answers than commands"))
            };
        };
        let Some(line) = input.iter().position(|&byte| byte == b'\n') else { return self.incomplete() };
        let known = input.starts_with(b"AT ");
        let end = if expect == Expect::Places && known {
            let Some(end) = input.windows(2).position(|pair| pair == b"\n\n") else { return self.incomplete() };
            end + 2
        } else {
            line + 1
        };
        let is_right = match expect {
            Expect::Report => known,
            Expect::Places => known || input.starts_with(b"? "),
            Expect::Invalid => input.starts_with(b"? "),
        };
        let begin = self.taken;
        self.taken += end;
        self.expected.pop_front();
        Ok(Some(Answer { from, bytes: &self.input[begin..begin + end], is_right }))
    }

    /// Returns no answer yet, or an error if the incomplete one exceeds its limit.
    fn incomplete(&self) -> io::Result<Option<Answer<'_>>> {
        if self.come - self.taken > ANSWER_BYTES_MAX { Err(invalid("an answer is too long")) } else { Ok(None) }
    }
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no progress for {} s", ANSWER_TIMEOUT.as_secs()))
}

/// Longest wait for the connection, or for any progress on it. A longer one breaks the connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Free space in the input buffer before a read.
const READ_BYTES: usize = 16 << 10;
/// Far above the largest answer to a `WHATSAT`; a longer one is not of this protocol.
const ANSWER_BYTES_MAX: usize = 4 << 20;
