//! Connection to a node that carries many calls at once.
//!
//! Owns the order of answers: that of the lines. Connects nowhere. Bounds: [`PIPELINE_MAX`] calls under way, [`OUTPUT_BYTES_MAX`] unsent.
//!
//! Everything happens in one loop of one task, so that a loss finds each call in exactly one place: unsent, or under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};

use crate::call::{Call, Form, Loss, Progress, RawAnswer};
use crate::error::NodeFailure;
use crate::input::{Input, start_of};
use crate::stream::NodeStream;

/// Connection, with the calls under way on it.
pub(crate) struct Connection {
    reader: ReadHalf<NodeStream>,
    writer: WriteHalf<NodeStream>,
    input: Input,
    output: BytesMut,
    /// In the order of their answers.
    under_way: VecDeque<Call>,
    /// First line of an answer whose JSON has not arrived.
    at_line: Option<String>,
    /// Moment since which the next answer is awaited.
    waiting_since: Instant,
    answer_timeout: Duration,
    has_token: bool,
}

impl Connection {
    /// Begins on a stream, with the token as its first line if there is one.
    pub(crate) fn new(stream: NodeStream, token: Option<&str>, answer_timeout: Duration) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader,
            writer,
            input: Input::default(),
            output: token.map(token_line).unwrap_or_default(),
            under_way: VecDeque::new(),
            at_line: None,
            waiting_since: Instant::now(),
            answer_timeout,
            has_token: token.is_some(),
        }
    }

    /// Takes the call that the connection was opened for.
    pub(crate) fn carrying(mut self, call: Call) -> Self {
        self.queue(call);
        self
    }

    /// Carries calls until the connection is lost, and then tells those under way. Returns None if there is no client any more.
    pub(crate) async fn serve(&mut self, calls: &mut Receiver<Call>) -> Option<Arc<NodeFailure>> {
        let failure = loop {
            match self.step(calls).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(failure) => break Arc::new(failure),
            }
        };
        for (place, call) in self.under_way.drain(..).enumerate() {
            let progress = if place == 0 { Progress::Next } else { Progress::Behind };
            // An error only says that the caller has gone.
            let _ = call.answer.send(Err(Loss { failure: Arc::clone(&failure), progress }));
        }
        Some(failure)
    }

    /// Waits for one thing to do, and does it. Returns false if there is no client any more.
    async fn step(&mut self, calls: &mut Receiver<Call>) -> Result<bool, NodeFailure> {
        let has_room = self.under_way.len() < PIPELINE_MAX && self.output.len() < OUTPUT_BYTES_MAX;
        let overdue_at = self.waiting_since + self.answer_timeout;
        tokio::select! {
            // Answers first: a node that is about to be lost may have sent some.
            biased;
            read = self.input.read(&mut self.reader) => {
                read?;
                self.take_answers()?;
            }
            call = calls.recv(), if has_room => match call {
                Some(call) => {
                    self.queue(call);
                    // All that are there, so that they leave in one packet.
                    while self.under_way.len() < PIPELINE_MAX && self.output.len() < OUTPUT_BYTES_MAX {
                        let Ok(call) = calls.try_recv() else { break };
                        self.queue(call);
                    }
                }
                None => return Ok(false),
            },
            written = self.writer.write(&self.output), if !self.output.is_empty() => match written {
                Ok(count) => self.output.advance(count),
                // A node that ends may have answered before: what it has sent is read until its end.
                Err(_) => self.output.clear(),
            },
            () = sleep_until(overdue_at), if !self.under_way.is_empty() => {
                return Err(NodeFailure::AnswerTimeout(self.answer_timeout));
            }
        }
        Ok(true)
    }

    fn queue(&mut self, call: Call) {
        // Nobody waits for it any more.
        if call.answer.is_closed() {
            return;
        }
        if self.under_way.is_empty() {
            self.waiting_since = Instant::now();
        }
        self.output.extend_from_slice(&call.line);
        self.under_way.push_back(call);
    }

    /// Passes on the answers that have arrived whole.
    fn take_answers(&mut self) -> Result<(), NodeFailure> {
        while let Some((line, json)) = self.answer()? {
            let Some(call) = self.under_way.pop_front() else { break };
            self.waiting_since = Instant::now();
            // An error only says that the caller has gone.
            let _ = call.answer.send(Ok(RawAnswer { line, json }));
        }
        Ok(())
    }

    /// Cuts the next answer from the input, if it has arrived whole.
    fn answer(&mut self) -> Result<Option<(String, String)>, NodeFailure> {
        if self.at_line.is_none() {
            let Some(line) = self.input.line()? else { return Ok(None) };
            if self.has_token && line == TOKEN_REFUSED {
                return Err(NodeFailure::TokenRefused);
            }
            let Some(call) = self.under_way.front().filter(|call| call.is_answered_by(&line)) else {
                return Err(NodeFailure::Unexpected(start_of(&line)));
            };
            if call.form != Form::Places || line.starts_with("? ") {
                return Ok(Some((line, String::new())));
            }
            self.at_line = Some(line);
        }
        let Some(json) = self.input.json()? else { return Ok(None) };
        Ok(self.at_line.take().map(|line| (line, json)))
    }
}

/// Writes the line that begins a session of a group.
pub(crate) fn token_line(token: &str) -> BytesMut {
    BytesMut::from(format!("TOKEN {token}\n").as_bytes())
}

/// Answer to a token of no group.
pub(crate) const TOKEN_REFUSED: &str = "? TOKEN";
/// Calls under way on a connection. A node decides what it has read in some ten microseconds, so 256 keep it busy over a round trip of
/// milliseconds, and no more than that many are made again when it is lost.
pub(crate) const PIPELINE_MAX: usize = 256;
/// Unsent bytes after which no further call is taken: the node does not read.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
