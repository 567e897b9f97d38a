//! What a client sees of a transcript: what it sends, and what it is to receive. For replaying one against a node
//! over a socket.
//!
//! Built from what the author expects, not from a run.

use std::collections::{HashMap, VecDeque};

use crate::event::Mark;
use crate::transcript::event::{Event, Step, UpstreamOutcome};
use crate::transcript::token::Token;

/// Something that a client sends, and what it receives for it in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The number of the line in the file.
    pub line: usize,
    /// Which connection it is sent on: counted from 0, new ones are opened in this order.
    pub connection: usize,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// More may follow; or the client ends its input; or the bytes are those of a line over the limit, which a node
    /// with another limit than the author had in mind does not notice.
    pub mark: Mark,
    /// What is received for it, all answers of upstreams included. None if the author left bytes open with a star.
    pub replies: Option<Vec<u8>>,
    /// How many requests to upstreams this leads to.
    pub fetches: usize,
    /// How they end, in the order in which the transcript has it, with the names of the upstreams.
    pub answers: Vec<(Vec<u8>, UpstreamOutcome)>,
    /// Whether the node ends the connection behind the replies.
    pub closes: bool,
}

/// Follows the steps of a transcript and gives the turns of its clients.
pub(super) fn exchanges(steps: &[Step]) -> Vec<Exchange> {
    let mut client = Client::default();
    for step in steps {
        match &step.event {
            Event::Session(name) => client.current.clone_from(name),
            Event::Input { bytes, mark } => client.input(step, bytes, *mark),
            Event::Answer { upstream, outcome } => client.answer(step, upstream.as_deref(), outcome),
            Event::Now(_) | Event::Later(_) | Event::Random(..) | Event::Reports(_) => {}
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
    /// The replies in the order of the commands. A fetch holds a slot, to be filled by its answer.
    slots: Vec<Option<Vec<u8>>>,
}

impl Client {
    fn input(&mut self, step: &Step, bytes: &[u8], mark: Mark) {
        let session = self.sessions.get(&self.current).filter(|session| !session.ended);
        let connection = session.map_or(self.connections, |session| session.connection);
        if session.is_none() {
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
        let is_meant = |fetch: &PendingFetch| upstream.is_none_or(|upstream| fetch.upstream == upstream);
        let fetch = session.fetches.iter().position(is_meant).and_then(|at| session.fetches.remove(at));
        let Some(PendingFetch { upstream, exchange, slot }) = fetch else { return };
        self.exchanges[exchange].exchange.answers.push((upstream, outcome.clone()));
        self.effects(step, exchange, Some(slot));
    }

    /// Takes what is expected at a step: in a slot of its own, or in that of the fetch that was answered.
    fn effects(&mut self, step: &Step, index: usize, slot: Option<usize>) {
        let Some(session) = self.sessions.get_mut(&self.current) else { return };
        let OpenExchange { exchange, slots } = &mut self.exchanges[index];
        for tokens in step.expected() {
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
