//! Stand-in for a collector of OpenTelemetry: takes OTLP over HTTP in JSON, and keeps the spans.
//!
//! Serves one request a connection, on a thread each. Reads and writes are bounded by [`WAIT_MAX`].

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::Value;

use crate::places::Request;
use crate::{WAIT_MAX, eventually};

/// The stand-in. Stops on drop.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// Reaction of the stand-in to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Takes the spans.
    Takes,
    /// Takes the spans and says that it refused this many.
    Rejects(u64),
    /// Answers with this status.
    Status(u16),
    /// Reads and never answers.
    Hangs,
}

/// A span, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectedSpan {
    /// `service.instance.id` of its resource.
    pub node: String,
    /// Trace.
    pub trace: String,
    /// Number of the span.
    pub id: String,
    /// Span above it; empty for none.
    pub parent: String,
    /// Name.
    pub name: String,
    /// Kind, as OTLP numbers it.
    pub kind: u64,
    /// Begin and end, in nanoseconds since the Unix epoch.
    pub times_ns: [u64; 2],
    /// Attributes, with numbers and flags as text.
    pub attributes: BTreeMap<String, String>,
    /// Message of its status if that is an error.
    pub failure: Option<String>,
}

#[derive(Debug)]
struct State {
    reaction: Reaction,
    connections: usize,
    bodies: Vec<String>,
    spans: Vec<CollectedSpan>,
    ended: bool,
}

impl Collector {
    /// Starts a stand-in that takes all spans.
    ///
    /// # Panics
    ///
    /// If no port is free.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port on loopback");
        let address = listener.local_addr().expect("a listener has an address");
        let state = State { reaction: Reaction::Takes, connections: 0, bodies: vec![], spans: vec![], ended: false };
        let state = Arc::new(Mutex::new(state));
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if lock(&serving).ended {
                    return;
                }
                let serving = Arc::clone(&serving);
                thread::spawn(move || serve(&serving, &stream));
            }
        });
        Self { address, state }
    }

    /// Setting of a node that sends its spans here.
    #[must_use]
    pub fn setting(&self) -> String {
        format!("trace.otlp=\"http://{}\"", self.address)
    }

    /// Changes the reaction to later requests.
    pub fn react(&self, reaction: Reaction) {
        lock(&self.state).reaction = reaction;
    }

    /// Number of connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.state).connections
    }

    /// Bodies of requests so far, as they came.
    #[must_use]
    pub fn bodies(&self) -> Vec<String> {
        lock(&self.state).bodies.clone()
    }

    /// Spans that were taken so far.
    #[must_use]
    pub fn spans(&self) -> Vec<CollectedSpan> {
        lock(&self.state).spans.clone()
    }

    /// Waits until the spans of one trace are as `wanted` says, and returns them, the earliest first.
    ///
    /// # Panics
    ///
    /// If those of none are in time.
    #[track_caller]
    pub fn await_trace(&self, what: &str, wanted: impl Fn(&[CollectedSpan]) -> bool) -> Vec<CollectedSpan> {
        eventually(what, || {
            let mut traces: BTreeMap<String, Vec<CollectedSpan>> = BTreeMap::new();
            for span in self.spans() {
                traces.entry(span.trace.clone()).or_default().push(span);
            }
            let found = traces.values().find(|spans| wanted(spans));
            let mut found = found.cloned().ok_or_else(|| format!("{traces:#?}"))?;
            found.sort_by_key(|span| span.times_ns);
            Ok(found)
        })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        lock(&self.state).ended = true;
        // The listener blocks in `accept` and sees the end only when a connection comes.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(state: &Mutex<State>, mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(WAIT_MAX))?;
    stream.set_write_timeout(Some(WAIT_MAX))?;
    let reaction = {
        let mut state = lock(state);
        state.connections += 1;
        state.reaction
    };
    let request = Request::read(stream)?;
    let is_json = request.headers.iter().any(|header| header.eq_ignore_ascii_case("content-type: application/json"));
    let body = String::from_utf8(request.body).map_err(io::Error::other)?;
    if request.method != "POST" || request.target != "/v1/traces" || !is_json {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
    let (status, answer) = match reaction {
        Reaction::Takes => (200, "{}".into()),
        Reaction::Rejects(count) => (200, format!(r#"{{"partialSuccess":{{"rejectedSpans":"{count}"}}}}"#)),
        Reaction::Status(status) => (status, String::new()),
        Reaction::Hangs => {
            // Until the client gives up.
            let _ = Request::read(stream);
            return Ok(());
        }
    };
    if status == 200 {
        let value: Value = serde_json::from_str(&body)?;
        let mut state = lock(state);
        state.spans.extend(spans(&value));
        state.bodies.push(body);
    }
    let length = answer.len();
    write!(stream, "HTTP/1.1 {status} So\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{answer}")
}

/// Reads the spans of a request. Panics, and so closes the connection, if it is none: then no span is found.
fn spans(request: &Value) -> Vec<CollectedSpan> {
    let mut spans = Vec::new();
    for of_resource in list(&request["resourceSpans"]) {
        let node = attributes(&of_resource["resource"]).remove("service.instance.id").expect("a node is named");
        for span in list(&of_resource["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"])) {
            let id = |name: &str, digits: usize| {
                let id = text(&span[name]);
                assert!(
                    id.is_empty() || id.len() == digits && id.bytes().all(|digit| digit.is_ascii_hexdigit()),
                    "{span}"
                );
                id
            };
            let time = |name: &str| text(&span[name]).parse().expect("a number as text");
            let is_error = span["status"]["code"] == 2;
            spans.push(CollectedSpan {
                node: node.clone(),
                trace: id("traceId", 32),
                id: id("spanId", 16),
                parent: id("parentSpanId", 16),
                name: text(&span["name"]),
                kind: span["kind"].as_u64().expect("a number"),
                times_ns: [time("startTimeUnixNano"), time("endTimeUnixNano")],
                attributes: attributes(span),
                failure: is_error.then(|| text(&span["status"]["message"])),
            });
        }
    }
    spans
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").into()
}

fn attributes(of: &Value) -> BTreeMap<String, String> {
    let value = |attribute: &Value| {
        let (_, value) = attribute["value"].as_object().and_then(|value| value.iter().next()).expect("a value");
        (text(&attribute["key"]), value.as_str().map_or_else(|| value.to_string(), Into::into))
    };
    list(&of["attributes"]).iter().map(value).collect()
}
