//! Client of a herd: calls that move to another node when theirs is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use herd_sys::HostPort;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use crate::answer::Answer;
use crate::at::At;
use crate::call::{Call, Form, Loss, Progress, RawAnswer, Retry};
use crate::error::{CallError, InvalidArgument, NodeError, NodeFailure};
use crate::fail_over::FailOver;
use crate::input::start_of;
use crate::node::Node;
use crate::options::Options;
use crate::query::query;
use crate::report::Report;
use crate::watch::Watch;

/// Client of a herd.
///
/// Clones share nodes and connections, and any number of tasks may call at the same time: their lines are pipelined on one connection.
/// All calls use one node, the first that was named, until it is lost; then they use the next one, and stay there.
#[derive(Clone, Debug)]
pub struct HerdClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    nodes: Vec<Node>,
    /// Index of the node that calls use.
    preferred: AtomicUsize,
    options: Arc<Options>,
}

impl HerdClient {
    /// Makes a client of the nodes at these addresses, such as `riley.example.net:15415`. Connects with the first call.
    ///
    /// # Errors
    ///
    /// See [`InvalidArgument`]: an address, the token, or an option that is 0.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new(nodes: &[impl AsRef<str>], options: Options) -> Result<Self, InvalidArgument> {
        let addresses: Result<Vec<HostPort>, _> = nodes.iter().map(|node| node.as_ref().parse()).collect();
        let addresses = addresses?;
        if addresses.is_empty() {
            return Err(InvalidArgument::NoNode);
        }
        let is_token = |token: &String| {
            (1..=TOKEN_BYTES_MAX).contains(&token.len())
                && !token.bytes().any(|byte| byte.is_ascii_whitespace() || byte == 0x0b)
        };
        if !options.token.as_ref().is_none_or(is_token) {
            return Err(InvalidArgument::Token);
        }
        for (name, is_zero) in [
            ("attempts_max", options.attempts_max == 0),
            ("unknown_at", options.unknown_at == 0),
            ("queue_max", options.queue_max == 0),
        ] {
            if is_zero {
                return Err(InvalidArgument::Zero(name));
            }
        }
        let options = Arc::new(options);
        let nodes = addresses.into_iter().map(|address| Node::new(address, Arc::clone(&options))).collect();
        Ok(Self { shared: Arc::new(Shared { nodes, preferred: AtomicUsize::new(0), options }) })
    }

    /// Reports a location and returns how the herd knows it. The report is made again, unchanged, at another node if one is lost or
    /// does not confirm it.
    ///
    /// # Errors
    ///
    /// See [`CallError`]. The report may have been kept all the same; the same report again is safe.
    ///
    /// Cancel safe: the report may have been sent.
    pub async fn report(&self, report: &Report) -> Result<At, CallError> {
        let accept = |answer: RawAnswer| {
            let Some(at) = at_of(&answer)? else { return Ok(Verdict::Refused) };
            Ok(Verdict::Accepted(at))
        };
        let refusals_max = self.shared.options.attempts_max;
        match self.call(&report.to_string(), Form::At, Retry::Always, refusals_max, accept).await? {
            Outcome::Accepted(at) => Ok(at),
            Outcome::Refused { attempts } => {
                Err(CallError::NotConfirmed { client: report.client().to_owned(), attempts })
            }
        }
    }

    /// Asks for the location of a client and at most `bound` places, 0 to 20, within `radius_km` kilometres of it, 0 to 50. Returns None
    /// if the herd does not know the client.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    ///
    /// Cancel safe.
    pub async fn whats_at(&self, client: &str, radius_km: f64, bound: u8) -> Result<Option<Answer>, CallError> {
        let line = query(client, radius_km, bound)?;
        let accept = |answer: RawAnswer| {
            let Some(at) = at_of(&answer)? else { return Ok(Verdict::Refused) };
            Ok(Verdict::Accepted(Answer { at, json: answer.json }))
        };
        // More nodes than there are need not be asked.
        let nodes = u32::try_from(self.shared.nodes.len()).unwrap_or(u32::MAX);
        let refusals_max = self.shared.options.unknown_at.min(nodes);
        Ok(match self.call(&line, Form::Places, Retry::Always, refusals_max, accept).await? {
            Outcome::Accepted(answer) => Some(answer),
            Outcome::Refused { .. } => None,
        })
    }

    /// Sends one line to whatever logic the nodes serve, and returns the line of its answer, both without their ends. A command of several
    /// lines of answer, or none, or one that subscribes, must not be sent.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    ///
    /// Cancel safe: the line may have been sent.
    pub async fn request(&self, line: &str, retry: Retry) -> Result<String, CallError> {
        if line.trim_ascii().is_empty() || line.len() > LINE_BYTES_MAX || line.contains('\n') {
            return Err(InvalidArgument::Line.into());
        }
        let accept = |answer: RawAnswer| Ok(Verdict::Accepted(answer.line));
        match self.call(line, Form::Line, retry, 1, accept).await? {
            Outcome::Accepted(line) => Ok(line),
            Outcome::Refused { .. } => unreachable!("any line is accepted"),
        }
    }

    /// Subscribes to clients, at nodes whose logic has `WATCH`, such as that of `guest/examples/watch`. Connects with the first
    /// [`next`](Watch::next), to a connection of its own.
    ///
    /// # Errors
    ///
    /// [`CallError::Invalid`]: no client, too many, or a name that is none.
    pub fn watch(&self, clients: &[impl AsRef<str>]) -> Result<Watch, CallError> {
        let nodes = self.shared.nodes.iter().map(|node| node.address.clone()).collect();
        let first = self.shared.preferred.load(Ordering::Relaxed);
        Ok(Watch::new(nodes, first, Arc::clone(&self.shared.options), clients)?)
    }

    /// Address of the node that calls use at present, as the client was given it.
    #[must_use]
    pub fn node(&self) -> String {
        self.shared.nodes[self.shared.preferred.load(Ordering::Relaxed)].address.to_string()
    }

    /// Makes a call at one node after the other until one accepts it, in the time of a call.
    async fn call<T>(
        &self,
        line: &str,
        form: Form,
        retry: Retry,
        refusals_max: u32,
        accept: impl Fn(RawAnswer) -> Result<Verdict<T>, NodeFailure>,
    ) -> Result<Outcome<T>, CallError> {
        let options = &self.shared.options;
        let deadline = Instant::now() + options.call_timeout;
        let line: Arc<[u8]> = [line.as_bytes(), b"\n"].concat().into();
        let mut course = FailOver::new(self.shared.nodes.len(), options.attempts_max);
        let attempts = self.attempts(&mut course, line, form, retry, refusals_max, accept);
        match timeout_at(deadline, attempts).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CallError::Timeout { waited: options.call_timeout, last: course.last.take() }),
        }
    }

    async fn attempts<T>(
        &self,
        course: &mut FailOver,
        line: Arc<[u8]>,
        form: Form,
        retry: Retry,
        refusals_max: u32,
        accept: impl Fn(RawAnswer) -> Result<Verdict<T>, NodeFailure>,
    ) -> Result<Outcome<T>, CallError> {
        let nodes = &self.shared.nodes;
        let mut index = self.shared.preferred.load(Ordering::Relaxed);
        let mut refusals = 0;
        loop {
            let (answer, answered) = oneshot::channel();
            let call = Call { line: Arc::clone(&line), form, answer };
            nodes[index].calls.send(call).await.map_err(|_| CallError::RuntimeEnded)?;
            let loss = match answered.await.map_err(|_| CallError::RuntimeEnded)? {
                Ok(answer) => match accept(answer) {
                    Ok(Verdict::Accepted(accepted)) => return Ok(Outcome::Accepted(accepted)),
                    Ok(Verdict::Refused) => {
                        refusals += 1;
                        if refusals >= refusals_max {
                            return Ok(Outcome::Refused { attempts: refusals });
                        }
                        // Only this call goes elsewhere: the refusal may be about its client, and the node is good for others.
                        index = (index + 1) % nodes.len();
                        sleep(course.pause()).await;
                        continue;
                    }
                    Err(failure) => Loss { failure: Arc::new(failure), progress: Progress::Next },
                },
                Err(loss) => loss,
            };
            let last = NodeError { node: nodes[index].address.to_string(), failure: loss.failure };
            if retry == Retry::IfUnsent && loss.progress != Progress::Unsent {
                return Err(CallError::Interrupted { last });
            }
            // Only what a node may have failed by counts: a connection with many calls on it must not cost each of them an attempt.
            if loss.progress == Progress::Next && !course.count() {
                return Err(CallError::Failed { attempts: course.attempts, last });
            }
            course.last = Some(last);
            index = self.leave(index);
            sleep(course.pause()).await;
        }
    }

    /// Lets calls use the node after this one, unless another call has done so already. Returns the one they use.
    fn leave(&self, index: usize) -> usize {
        let next = (index + 1) % self.shared.nodes.len();
        match self.shared.preferred.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => next,
            Err(other) => other,
        }
    }
}

/// Judgement of an answer.
enum Verdict<T> {
    Accepted(T),
    /// A copy of the line: another node may accept it.
    Refused,
}

/// End of a call.
enum Outcome<T> {
    Accepted(T),
    Refused { attempts: u32 },
}

/// Returns the location of an answer, or None for a refusal.
fn at_of(answer: &RawAnswer) -> Result<Option<At>, NodeFailure> {
    if answer.line.starts_with("? ") {
        return Ok(None);
    }
    let at = At::parse(&answer.line);
    at.map(Some).ok_or_else(|| NodeFailure::Unexpected(start_of(&answer.line)))
}

/// Limits of the protocol, unless configured otherwise.
const LINE_BYTES_MAX: usize = 64 << 10;
const TOKEN_BYTES_MAX: usize = 512;
