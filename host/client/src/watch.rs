//! Subscription to clients, which outlives the loss of its node.
//!
//! Owns one connection, on which nothing is sent but `WATCH`: an `AT` line is then a push or the present location, and both are news of its
//! client. There is no task behind it: a caller that does not read slows its node down, as any client that does not take its replies.
//!
//! Bounds: [`WATCHED_MAX`] clients; one line is taken at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use herd_sys::HostPort;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep, sleep_until};

use crate::at::At;
use crate::connection::{TOKEN_REFUSED, token_line};
use crate::error::{CallError, InvalidArgument, NodeError, NodeFailure};
use crate::fail_over::FailOver;
use crate::input::{Input, start_of};
use crate::node::open;
use crate::options::Options;
use crate::report::check_client;
use crate::stream::NodeStream;

/// Subscription to clients. See [`HerdClient::watch`](crate::HerdClient::watch).
#[derive(Debug)]
pub struct Watch {
    nodes: Vec<HostPort>,
    /// Node of the connection, or the next to be tried.
    index: usize,
    options: Arc<Options>,
    /// Watched clients, and the last location returned of each.
    latest: HashMap<String, Option<At>>,
    session: Option<Session>,
    /// Attempts since the last one that succeeded.
    course: FailOver,
    /// Moment since which there is no subscription; None while there is one.
    lost_since: Option<Instant>,
    refused_by: usize,
}

/// Connection on which the clients are watched.
#[derive(Debug)]
struct Session {
    reader: ReadHalf<NodeStream>,
    writer: WriteHalf<NodeStream>,
    input: Input,
    output: BytesMut,
    /// `OK`s that are awaited.
    confirmations: usize,
    active_at: Instant,
}

impl Watch {
    pub(crate) fn new(
        nodes: Vec<HostPort>,
        first: usize,
        options: Arc<Options>,
        clients: &[impl AsRef<str>],
    ) -> Result<Self, InvalidArgument> {
        let latest: HashMap<_, _> = clients.iter().map(|client| (client.as_ref().to_owned(), None)).collect();
        if latest.is_empty() || latest.len() > WATCHED_MAX {
            return Err(InvalidArgument::Watched { count: latest.len(), max: WATCHED_MAX });
        }
        latest.keys().try_for_each(|client| check_client(client))?;
        let course = FailOver::new(nodes.len(), options.attempts_max);
        Ok(Self { nodes, index: first, options, latest, session: None, course, lost_since: None, refused_by: 0 })
    }

    /// Waits for the next location of a watched client: first the present ones, then each new one. After the loss of a node it subscribes at
    /// another one, and of the locations in between returns the last of each client. A location that is older than the last returned is left out.
    ///
    /// # Errors
    ///
    /// [`CallError::Timeout`] when there was no subscription for the time of a call, and [`CallError::NoSubscriptions`] when no node knows
    /// `WATCH`. Another call tries again.
    ///
    /// Cancel safe: nothing is lost.
    pub async fn next(&mut self) -> Result<At, CallError> {
        loop {
            let (probe_after, answer_timeout) = (self.options.probe_after, self.options.answer_timeout);
            let line = match &mut self.session {
                Some(session) => session.line(probe_after, answer_timeout, self.latest.keys().next()).await,
                None => {
                    self.subscribe().await?;
                    continue;
                }
            };
            match line.and_then(|line| self.take(&line)) {
                Ok(Some(at)) => return Ok(at),
                Ok(None) => {}
                Err(failure) => self.lose(failure),
            }
        }
    }

    /// Takes a line of the node, and returns the location in it if it is news.
    fn take(&mut self, line: &str) -> Result<Option<At>, NodeFailure> {
        let unexpected = || NodeFailure::Unexpected(start_of(line));
        let session = self.session.as_mut().ok_or(NodeFailure::Closed)?;
        if line == "OK" && session.confirmations > 0 {
            session.confirmations -= 1;
            if session.confirmations == 0 {
                (self.lost_since, self.refused_by) = (None, 0);
                self.course = FailOver::new(self.nodes.len(), self.options.attempts_max);
            }
            return Ok(None);
        }
        if line == TOKEN_REFUSED {
            return Err(NodeFailure::TokenRefused);
        }
        if line.starts_with("? WATCH ") {
            self.refused_by += 1;
        }
        let at = At::parse(line).ok_or_else(unexpected)?;
        let latest = self.latest.get_mut(&at.client).ok_or_else(unexpected)?;
        if latest.as_ref().is_some_and(|latest| at.is_no_news_after(latest)) {
            return Ok(None);
        }
        *latest = Some(at.clone());
        Ok(Some(at))
    }

    /// Connects to the next node and sends the subscriptions.
    async fn subscribe(&mut self) -> Result<(), CallError> {
        let lost_since = *self.lost_since.get_or_insert_with(Instant::now);
        if self.refused_by >= self.nodes.len() {
            self.refused_by = 0;
            return Err(CallError::NoSubscriptions);
        }
        let waited = self.options.call_timeout;
        if lost_since.elapsed() > waited {
            self.lost_since = None;
            return Err(CallError::Timeout { waited, last: self.course.last.take() });
        }
        if self.course.last.is_some() {
            sleep(self.course.pause()).await;
        }
        match open(&self.nodes[self.index], &self.options).await {
            Ok(stream) => self.session = Some(Session::new(stream, self.options.token.as_deref(), self.latest.keys())),
            Err(failure) => self.lose(failure),
        }
        Ok(())
    }

    /// Gives the node up: the next one is tried.
    fn lose(&mut self, failure: NodeFailure) {
        self.session = None;
        let node = self.nodes[self.index].to_string();
        self.course.last = Some(NodeError { node, failure: Arc::new(failure) });
        self.index = (self.index + 1) % self.nodes.len();
    }
}

impl Session {
    fn new<'a>(stream: NodeStream, token: Option<&str>, clients: impl Iterator<Item = &'a String>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let mut output = token.map(token_line).unwrap_or_default();
        let mut confirmations = 0;
        for client in clients {
            output.extend_from_slice(format!("WATCH {client}\n").as_bytes());
            confirmations += 1;
        }
        Self { reader, writer, input: Input::default(), output, confirmations, active_at: Instant::now() }
    }

    /// Waits for a line. Subscribes to `probe` once more when the node was silent: its answer is also the location that a lost push had. Cancel
    /// safe.
    async fn line(
        &mut self,
        probe_after: Duration,
        answer_timeout: Duration,
        probe: Option<&String>,
    ) -> Result<String, NodeFailure> {
        loop {
            if let Some(line) = self.input.line()? {
                return Ok(line);
            }
            let silence_max = if self.confirmations > 0 { answer_timeout } else { probe_after };
            tokio::select! {
                biased;
                read = self.input.read(&mut self.reader) => {
                    read?;
                    self.active_at = Instant::now();
                }
                written = self.writer.write(&self.output), if !self.output.is_empty() => {
                    self.output.advance(written.map_err(NodeFailure::Io)?);
                }
                () = sleep_until(self.active_at + silence_max) => match probe {
                    Some(client) if self.confirmations == 0 => {
                        self.output.extend_from_slice(format!("WATCH {client}\n").as_bytes());
                        (self.confirmations, self.active_at) = (1, Instant::now());
                    }
                    _ => return Err(NodeFailure::AnswerTimeout(answer_timeout)),
                },
            }
        }
    }
}

/// Clients of one subscription: the topics that a node grants a session.
pub(crate) const WATCHED_MAX: usize = 64;
