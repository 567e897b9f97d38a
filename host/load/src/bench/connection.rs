//! One connection of a load: sends, and matches what comes back with what was sent.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::commands::{Commands, Expect};
use super::pacer::Schedule;
use super::report::Counters;
use herd_sys::socket::read_what_came;

/// Sends and counts until the end of the load.
pub(super) struct Connection {
    pub(super) address: SocketAddr,
    /// Commands under way in closed loop.
    pub(super) pipeline: usize,
    /// When commands are due in open loop.
    pub(super) schedule: Option<Schedule>,
    pub(super) per_command: bool,
    pub(super) commands: Commands,
    pub(super) measure_from: Instant,
    pub(super) end: Instant,
    /// A moment before the load begins, different for each connection.
    pub(super) stagger: Duration,
}

/// What is under way on a connection.
#[derive(Default)]
struct InFlight {
    out: Vec<u8>,
    written: usize,
    /// Room for what comes; from `taken` to `come` it holds what is not counted yet.
    input: Vec<u8>,
    taken: usize,
    come: usize,
    /// What is expected, and from when its time counts.
    expected: VecDeque<(Expect, Instant)>,
}

impl Connection {
    /// Runs to the end. The error is that of the connection; what was counted before it is in the counters.
    pub(super) async fn run(mut self, counters: &RefCell<Counters>) -> io::Result<()> {
        tokio::time::sleep(self.stagger).await;
        if self.per_command {
            while Instant::now() < self.end {
                let mut in_flight = InFlight::default();
                self.send(&mut in_flight, Instant::now());
                let stream = self.connect().await?;
                self.exchange(&stream, &mut in_flight, counters, true).await?;
                // An orderly close would leave the port waiting for a minute, and there are 28,000 of them.
                set_socket_linger(&stream, Some(Duration::ZERO))?;
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
        self.exchange(&stream, &mut in_flight, counters, false).await
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream =
            timeout(ANSWER_TIMEOUT, TcpStream::connect(self.address)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn send(&mut self, in_flight: &mut InFlight, from: Instant) {
        let expect = self.commands.write(&mut in_flight.out);
        in_flight.expected.push_back((expect, from));
    }

    /// Closed loop: each answer is followed by a command, until the end or, with `once`, until all are answered.
    async fn exchange(
        &mut self,
        stream: &TcpStream,
        in_flight: &mut InFlight,
        counters: &RefCell<Counters>,
        once: bool,
    ) -> io::Result<()> {
        while !in_flight.expected.is_empty() {
            in_flight.write(stream)?;
            timeout(ANSWER_TIMEOUT, stream.ready(in_flight.interest()))
                .await
                .map_err(|_| io::ErrorKind::TimedOut)??;
            let now = in_flight.read(stream)?;
            while let Some(from) = in_flight.answer(counters)? {
                counters.borrow_mut().count(now, from, self.measure_from);
                if !once && now < self.end {
                    self.send(in_flight, now);
                }
            }
        }
        Ok(())
    }

    /// Open loop: a command each time one is due, and its time counts from then.
    async fn keep_rate(
        &mut self,
        stream: &TcpStream,
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
            let rung = tokio::select! {
                ready = timeout(ANSWER_TIMEOUT, stream.ready(in_flight.interest())) => {
                    ready.map_err(|_| io::ErrorKind::TimedOut)??;
                    false
                }
                () = schedule.wake.notified() => true,
            };
            if rung {
                continue;
            }
            let now = in_flight.read(stream)?;
            while let Some(from) = in_flight.answer(counters)? {
                counters.borrow_mut().count(now, from, self.measure_from);
            }
        }
    }
}

impl InFlight {
    fn interest(&self) -> Interest {
        if self.written < self.out.len() { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE }
    }

    fn write(&mut self, stream: &TcpStream) -> io::Result<()> {
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

    /// Reads what is there, and says when.
    fn read(&mut self, stream: &TcpStream) -> io::Result<Instant> {
        if self.taken == self.come {
            (self.taken, self.come) = (0, 0);
        }
        if self.input.len() - self.come < READ_BYTES {
            self.input.copy_within(self.taken..self.come, 0);
            (self.taken, self.come) = (0, self.come - self.taken);
            self.input.resize(self.come + 2 * READ_BYTES, 0);
        }
        match read_what_came(stream, &mut self.input[self.come..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.come += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(Instant::now())
    }

    /// Takes the next whole answer off the input, and says from when its time counts.
    fn answer(&mut self, counters: &RefCell<Counters>) -> io::Result<Option<Instant>> {
        let input = &self.input[self.taken..self.come];
        let Some(&(expect, from)) = self.expected.front() else {
            return if input.is_empty() { Ok(None) } else { Err(io::ErrorKind::InvalidData.into()) };
        };
        let Some(line) = input.iter().position(|&byte| byte == b'\n') else { return self.bounded() };
        let known = input.starts_with(b"AT ");
        let end = if expect == Expect::Places && known {
            let Some(end) = input.windows(2).position(|pair| pair == b"\n\n") else { return self.bounded() };
            end + 2
        } else {
            line + 1
        };
        let right = match expect {
            Expect::Report => known,
            Expect::Places => known || input.starts_with(b"? "),
            Expect::Invalid => input.starts_with(b"? "),
        };
        counters.borrow_mut().wrong += u64::from(!right);
        self.taken += end;
        self.expected.pop_front();
        Ok(Some(from))
    }

    fn bounded(&self) -> io::Result<Option<Instant>> {
        if self.come - self.taken > ANSWER_BYTES_MAX { Err(io::ErrorKind::InvalidData.into()) } else { Ok(None) }
    }
}

/// An answer that takes longer is an error of the load.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
const READ_BYTES: usize = 16 << 10;
const ANSWER_BYTES_MAX: usize = 4 << 20;
