//! Execution of a case, step by step, against the nodes of a [`RunningHerd`].
//!
//! Stops at the first step that fails. Waits are bounded by the time limits of the case or of [`super`]; connections close
//! when the case ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::answers::Answer;
use super::connection::{Connection, End, Reply};
use super::expected::{Attempts, Expected, Then, shown};
use super::pattern::Pattern;
use super::running_herd::RunningHerd;
use super::step::{Action, Pace, Step};
use super::text::{Text, Values};
use super::{ANSWER_MAX, Case, EVENTUALLY_MAX};

/// A running case: its nodes, named values and open connections.
pub(super) struct CaseRun<'a> {
    case: &'a Case,
    herd: &'a mut RunningHerd,
    values: Values,
    open: BTreeMap<&'a str, Connection>,
    /// Requests that the stand-in for places received before this case.
    asked_before: usize,
}

impl<'a> CaseRun<'a> {
    /// Starts the nodes of the case and resets the stand-in.
    ///
    /// # Errors
    ///
    /// None of its own; nodes that do not start make the harness panic.
    pub(super) fn begin(case: &'a Case, herd: &'a mut RunningHerd) -> Result<Self, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        herd.set(&case.topology, &case.up);
        let client = format!("{}-{}.{}", case.topic, case.line, NEXT.fetch_add(1, Ordering::Relaxed));
        let values = Values::from([("client".into(), client.into_bytes()), ("time".into(), now(0))]);
        let asked_before = herd.places().requests().len();
        let mut it = Self { case, herd, values, open: BTreeMap::new(), asked_before };
        it.answer(&Answer::default());
        Ok(it)
    }

    /// Runs the steps in order.
    ///
    /// # Errors
    ///
    /// Line and error of the first step that failed.
    pub(super) fn steps(&mut self) -> Result<(), String> {
        self.case.steps.iter().try_for_each(|step| {
            let failed = |wrong: String| format!("line {}\n{wrong}", step.line);
            self.step(step).map_err(failed)
        })
    }

    fn step(&mut self, Step { action, expected, .. }: &'a Step) -> Result<(), String> {
        match action {
            Action::Time { name, offset_s } => drop(self.values.insert(name.clone(), now(*offset_s))),
            Action::Ask { nodes, text } => nodes
                .iter()
                .try_for_each(|node| self.ask(node, text, expected).map_err(|wrong| format!("at {node}\n{wrong}")))?,
            Action::Burst { count, node, text } => self.burst(*count, node, text, expected)?,
            Action::Open { connection, node } => {
                let opened = Connection::open(self.herd.address(node))?;
                self.open.insert(connection, opened);
            }
            Action::Send { connection, text, pace } => {
                let bytes = text.filled(&self.values);
                send(self.connection(connection)?, &bytes, *pace)?;
            }
            Action::Receive { connection } => self.receive(connection, expected)?,
            Action::End { connection } => self.connection(connection)?.end()?,
            Action::Close { connection } => drop(self.taken(connection)?),
            Action::Reset { connection } => self.taken(connection)?.reset()?,
            Action::Start { nodes } => self.herd.start(nodes),
            Action::Kill { nodes } => nodes.iter().for_each(|node| self.herd.kill(node)),
            Action::Stop { nodes } => {
                nodes.iter().try_for_each(|node| self.herd.process(node).map(|process| process.stop()))?;
            }
            Action::Continue { nodes } => {
                nodes.iter().try_for_each(|node| self.herd.process(node).map(|process| process.go_on()))?;
            }
            Action::Wait { time } => thread::sleep(*time),
            Action::Places { answer } => self.answer(answer),
            Action::Asked { count } => self.asked(*count)?,
            Action::AskedWithin { radius_m } => self.asked_for("radius", &[*radius_m])?,
            Action::AskedNear { latitude, longitude } => self.asked_for("location", &[*latitude, *longitude])?,
        }
        Ok(())
    }

    fn ask(&mut self, node: &str, text: &Text, expected: &Expected) -> Result<(), String> {
        let (address, bytes) = (self.herd.address(node), text.filled(&self.values));
        let until = Instant::now() + EVENTUALLY_MAX;
        let reply = loop {
            match ask_once(address, &bytes, expected, &self.values) {
                Err(_) if expected.attempts == Attempts::Eventually && Instant::now() < until => {
                    thread::sleep(PAUSE);
                }
                outcome => break outcome?,
            }
        };
        self.keep(&reply, expected);
        Ok(())
    }

    fn burst(&mut self, count: usize, node: &str, text: &Text, expected: &Expected) -> Result<(), String> {
        let address = self.herd.address(node);
        let values = &self.values;
        let one = |number: usize| {
            let mut values = values.clone();
            values.insert("i".into(), number.to_string().into_bytes());
            ask_once(address, &text.filled(&values), expected, &values).map(drop)
        };
        thread::scope(|scope| {
            let all: Vec<_> = (0..count).map(|number| scope.spawn(move || one(number))).collect();
            all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| Err("a client panicked".into())))
        })
    }

    fn receive(&mut self, name: &str, expected: &Expected) -> Result<(), String> {
        let pattern = expected.reply.as_ref().map(|text| Pattern::new(text, &self.values));
        let within = expected.within.unwrap_or(ANSWER_MAX);
        let values = self.values.clone();
        let connection = self.connection(name)?;
        let is_whole = |bytes: &[u8]| pattern.as_ref().is_none_or(|pattern| pattern.find(bytes).is_some());
        let reply = connection.receive(within, is_whole);
        expected.check(&reply, &values).map_err(|wrong| with_end(wrong, &reply.end))?;
        match expected.then {
            None => {}
            Some(Then::Open) => {
                // The expectation is that nothing happens, so the whole time has to pass.
                let more = connection.receive(QUIET, |bytes| !bytes.is_empty());
                if !more.bytes.is_empty() || more.end != End::Open {
                    let came = shown(&more.bytes);
                    return Err(format!("expected: an open connection\ncame: {came}, {:?}", more.end));
                }
            }
            Some(Then::Closed) => {
                let more = connection.receive(within, |bytes| !bytes.is_empty());
                if !more.bytes.is_empty() || more.end != End::Closed {
                    return Err(format!("expected: the end\ncame: {}, {:?}", shown(&more.bytes), more.end));
                }
            }
        }
        self.keep(&reply, expected);
        Ok(())
    }

    fn keep(&mut self, reply: &Reply, expected: &Expected) {
        if let Some(name) = &expected.keep {
            let line = reply.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            self.values.insert(name.clone(), line.to_vec());
        }
    }

    fn answer(&mut self, answer: &Answer) {
        self.herd.places().behave(answer.behaviour());
        self.values.insert("body".into(), answer.body().trim_end_matches('\n').into());
    }

    fn asked(&mut self, count: usize) -> Result<(), String> {
        let asked = self.herd.places().requests().len() - self.asked_before;
        if asked == count { Ok(()) } else { Err(format!("expected: {count} questions for places\ncame: {asked}")) }
    }

    /// Compares the comma-separated numbers that the last request for places has under a key. Rejects a plus sign, which a query
    /// decodes as a blank.
    fn asked_for(&mut self, key: &str, wanted: &[f64]) -> Result<(), String> {
        let requests = self.herd.places().requests();
        let target = requests[self.asked_before..].last().map(|request| request.target.clone()).unwrap_or_default();
        let query = target.split_once('?').map_or("", |(_, query)| query).replace("%2C", ",");
        let found = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        let numbers = found.map(|text| text.split(',').map(|number| number.parse::<f64>().ok()).collect::<Vec<_>>());
        let same = |numbers: &Vec<Option<f64>>| {
            let close = |(number, wanted): (&Option<f64>, &f64)| number.is_some_and(|it| (it - wanted).abs() < 1e-6);
            numbers.len() == wanted.len() && numbers.iter().zip(wanted).all(close)
        };
        let plain = found.is_some_and(|text| !text.contains('+'));
        if plain && numbers.as_ref().is_some_and(same) {
            return Ok(());
        }
        Err(format!("expected: a question for places with {key} {wanted:?}\ncame: {key} {found:?}"))
    }

    fn connection(&mut self, name: &str) -> Result<&mut Connection, String> {
        self.open.get_mut(name).ok_or_else(|| format!("there is no connection {name}"))
    }

    fn taken(&mut self, name: &str) -> Result<Connection, String> {
        self.open.remove(name).ok_or_else(|| format!("there is no connection {name}"))
    }
}

/// Connects, sends, half-closes, reads to the end, and compares.
fn ask_once(address: SocketAddr, bytes: &[u8], expected: &Expected, values: &Values) -> Result<Reply, String> {
    let mut connection = Connection::open(address)?;
    connection.send(bytes)?;
    connection.end()?;
    let reply = connection.receive(expected.within.unwrap_or(ANSWER_MAX), |_| false);
    expected.check(&reply, values).map_err(|wrong| with_end(wrong, &reply.end))?;
    match &reply.end {
        End::Closed => Ok(reply),
        end => Err(format!("expected: the end behind the reply\ncame: {}, {end:?}", shown(&reply.bytes))),
    }
}

fn send(connection: &mut Connection, bytes: &[u8], pace: Pace) -> Result<(), String> {
    match pace {
        Pace::AtOnce => connection.send(bytes),
        Pace::ByteByByte => bytes.iter().try_for_each(|byte| {
            connection.send(&[*byte])?;
            // Long enough for the node to read each byte alone.
            thread::sleep(BETWEEN_BYTES);
            Ok(())
        }),
    }
}

/// Adds the state of the connection to an error.
fn with_end(wrong: String, end: &End) -> String {
    match end {
        End::Open => format!("{wrong}, and no more in time"),
        End::Closed => wrong,
        End::Broken(why) => format!("{wrong}, then the connection broke: {why}"),
    }
}

/// POSIX time with nine decimals, `offset_s` seconds from now.
fn now(offset_s: i64) -> Vec<u8> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs().saturating_add_signed(offset_s);
    format!("{seconds}.{:09}", since.subsec_nanos()).into_bytes()
}

/// Pause between two attempts of an `eventually`.
const PAUSE: Duration = Duration::from_millis(20);

/// Time for which an open connection is observed to stay silent.
const QUIET: Duration = Duration::from_millis(350);

const BETWEEN_BYTES: Duration = Duration::from_millis(2);
