//! Client side of a transcript: requests and expected replies, for a replay against a node over a socket.
//!
//! Owns the order of replies: an upstream's answer takes the slot of its fetch. It must not run a guest; the expectations
//! in the file are its only source. The file bounds it.

use std::collections::{HashMap, VecDeque};

use crate::event::Mark;
use crate::transcript::event::{Event, Step, UpstreamOutcome};
use crate::transcript::token::Token;

/// Bytes that a client sends, and the replies that it receives for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Number of the line in the file, from 1.
    pub line: usize,
    /// Number of the connection, from 0, in the order in which connections are opened.
    pub connection: usize,
    /// Bytes to send.
    pub bytes: Vec<u8>,
    /// Meaning of their end. A node with a higher line limit than the author assumed does not notice `Overlong`.
    pub mark: Mark,
    /// Expected replies, including those to the answers of upstreams. None if an expectation has a star or a pattern
    /// for its bytes.
    pub replies: Option<Vec<u8>>,
    /// Number of fetches that follow.
    pub fetches: usize,
    /// Upstream and outcome of each fetch, in the order of the transcript.
    pub answers: Vec<(Vec<u8>, UpstreamOutcome)>,
    /// True if the node closes the connection after the replies.
    pub closes: bool,
}

/// Derives the exchanges of clients from the steps of a transcript.
pub(super) fn exchanges(steps: &[Step]) -> Vec<Exchange> {
    let mut client = Client::default();
    for step in steps {
        match &step.event {
            Event::Session(name) => client.current.clone_from(name),
            Event::Input { bytes, mark } => client.input(step, bytes, *mark),
            Event::Answer { upstream, outcome } => client.answer(step, upstream.as_deref(), outcome),
            Event::Now(_) | Event::Advance(_) | Event::Random(..) | Event::Reports(_) => {}
            // Transcripts of several nodes are not replayed.
            Event::Node(_) | Event::Flood { .. } => {}
        }
    }
    client.exchanges.into_iter().map(OpenExchange::finish).collect()
}

#[derive(Default)]
struct Client {
    exchanges: Vec<OpenExchange>,
    connections: usize,
    sessions: HashMap<String, Session>,
    current: String,
}

#[derive(Default)]
struct Session {
    connection: usize,
    ended: bool,
    fetches: VecDeque<PendingFetch>,
}

struct PendingFetch {
    upstream: Vec<u8>,
    exchange: usize,
    slot: usize,
}

struct OpenExchange {
    exchange: Exchange,
    /// Replies in the order of the commands. A fetch reserves a slot, which the effects of its answer fill. A slot without
    /// bytes has a star in its expectation.
    slots: Vec<Option<Vec<u8>>>,
}

impl Client {
    fn input(&mut self, step: &Step, bytes: &[u8], mark: Mark) {
        let session = self.sessions.get(&self.current).filter(|session| !session.ended);
        let connection = session.map_or(self.connections, |session| session.connection);
        if session.is_none() {
            // A session that is new, or has ended, begins on a connection of its own.
            self.connections += 1;
            self.sessions.insert(self.current.clone(), Session { connection, ..Session::default() });
        }
        let exchange = Exchange {
            line: step.line,
            connection,
            bytes: bytes.to_vec(),
            mark,
            replies: None,
            fetches: 0,
            answers: vec![],
            closes: mark == Mark::Overlong,
        };
        self.exchanges.push(OpenExchange { exchange, slots: vec![] });
        self.effects(step, self.exchanges.len() - 1, None);
        if let Some(session) = self.sessions.get_mut(&self.current) {
            session.ended |= mark != Mark::More;
        }
    }

    fn answer(&mut self, step: &Step, upstream: Option<&[u8]>, outcome: &UpstreamOutcome) {
        let Some(session) = self.sessions.get_mut(&self.current) else { return };
        let matches = |fetch: &PendingFetch| upstream.is_none_or(|upstream| fetch.upstream == upstream);
        let fetch = session.fetches.iter().position(matches).and_then(|at| session.fetches.remove(at));
        let Some(PendingFetch { upstream, exchange, slot }) = fetch else { return };
        self.exchanges[exchange].exchange.answers.push((upstream, outcome.clone()));
        self.effects(step, exchange, Some(slot));
    }

    /// Adds the expected effects of a step, in new slots or in the slot of the answered fetch.
    fn effects(&mut self, step: &Step, index: usize, slot: Option<usize>) {
        let Some(session) = self.sessions.get_mut(&self.current) else { return };
        let OpenExchange { exchange, slots } = &mut self.exchanges[index];
        for tokens in step.expected() {
            // All effects of an answer share the slot of its fetch. Each other reply or fetch takes the next one.
            let mut slot = || {
                slot.unwrap_or_else(|| {
                    slots.push(Some(vec![]));
                    slots.len() - 1
                })
            };
            match tokens {
                [word, bytes, ..] if word.is("reply") => {
                    let slot = slot();
                    let reply = bytes.bytes();
                    slots[slot] = slots[slot].take().zip(reply).map(|(sent, reply)| [&sent, reply].concat());
                }
                [word, _, upstream, ..] if word.is("fetch") => {
                    let slot = slot();
                    let upstream = upstream.bytes().unwrap_or_default().to_vec();
                    session.fetches.push_back(PendingFetch { upstream, exchange: index, slot });
                    exchange.fetches += 1;
                }
                [Token::Word(word), ..] if word == "close" || word == "fault" => {
                    session.ended = true;
                    exchange.closes = true;
                }
                _ => {}
            }
        }
    }
}

impl OpenExchange {
    fn finish(self) -> Exchange {
        let replies: Option<Vec<Vec<u8>>> = self.slots.into_iter().collect();
        Exchange { replies: replies.map(|replies| replies.concat()), ..self.exchange }
    }
}
