//! Stand-in for the places service: HTTP over raw TCP, so that it can fail in every way, and a list of the requests received.
//!
//! Serves one request per connection, on a thread each. Reads, writes and held answers are bounded by [`WAIT_MAX`].

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::{WAIT_MAX, eventually};

/// The stand-in. Stops on drop.
#[derive(Debug)]
pub struct Places {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// Reaction of the stand-in to a request. The behaviour at the time the request was read applies to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers with this many places.
    Results(usize),
    /// Answers with this body.
    Body(String),
    /// Answers with this body in chunks, as the service itself does.
    Chunked(String),
    /// Answers with one place, after this time.
    Slow(Duration),
    /// Holds the answer back, and answers with one place once the behaviour changes.
    Held,
    /// Answers with this status and an HTML page.
    Status(u16),
    /// Announces a body and sends half of it.
    Half,
    /// Answers with something that is not JSON.
    NotJson,
    /// Answers with more bytes than a node accepts.
    Huge,
    /// Redirects the client.
    Redirect,
    /// Closes the connection without an answer.
    Close,
}

/// A request that the stand-in received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers, as they came.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    requests: Vec<Request>,
    ended: bool,
}

impl Places {
    /// API key of the nodes. It may appear nowhere but in requests to the stand-in.
    pub const SECRET: &str = "a-secret-that-no-log-may-hold";

    /// Starts a stand-in that answers with no places.
    ///
    /// # Panics
    ///
    /// If no port is free.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port on loopback");
        let address = listener.local_addr().expect("a listener has an address");
        let state = State { behaviour: Behaviour::Results(0), requests: vec![], ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.lock().ended {
                    return;
                }
                let serving = Arc::clone(&serving);
                thread::spawn(move || serving.serve(&stream));
            }
        });
        Self { address, shared }
    }

    /// URL for the configuration of a node.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/nearbysearch/json", self.address)
    }

    /// Changes the behaviour for later requests and releases answers that are held back.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().behaviour = behaviour;
        self.shared.changed.notify_all();
    }

    /// Requests received so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Waits until at least `count` requests were received, and returns all of them.
    ///
    /// # Panics
    ///
    /// If fewer come within [`WAIT_MAX`].
    #[track_caller]
    pub fn await_requests(&self, count: usize) -> Vec<Request> {
        eventually(&format!("{count} requests for places"), || match self.requests() {
            requests if requests.len() >= count => Ok(requests),
            requests => Err(format!("there were {}", requests.len())),
        })
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        // The listener blocks in `accept` and sees the end only when a connection comes.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one connection: one request, then the connection closes.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        let request = Request::read(stream)?;
        let behaviour = {
            let mut state = self.lock();
            state.requests.push(request);
            state.behaviour.clone()
        };
        match behaviour {
            Behaviour::Results(count) => write(stream, "200 OK", &nearby(count)),
            Behaviour::Body(body) => write(stream, "200 OK", &body),
            Behaviour::Chunked(body) => {
                let (head, length) = ("HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked", body.len());
                write!(&mut &*stream, "{head}\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
            }
            Behaviour::Slow(delay) => {
                self.wait(delay, |state| !state.ended);
                write(stream, "200 OK", &nearby(1))
            }
            Behaviour::Held => {
                self.wait(WAIT_MAX, |state| !state.ended && state.behaviour == Behaviour::Held);
                write(stream, "200 OK", &nearby(1))
            }
            Behaviour::Status(status) => write(stream, &format!("{status} Not Well"), "<html>not well</html>"),
            Behaviour::Half => {
                let body = nearby(3);
                write!(&mut &*stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
                (&mut &*stream).write_all(&body.as_bytes()[..body.len() / 2])
            }
            Behaviour::NotJson => write(stream, "200 OK", "<html>places? what places?</html>"),
            Behaviour::Huge => write(stream, "200 OK", &nearby(HUGE_RESULTS)),
            Behaviour::Redirect => write(stream, "302 Found\r\nLocation: http://127.0.0.1:9/elsewhere", ""),
            Behaviour::Close => Ok(()),
        }
    }

    /// Waits while a condition holds, at most for `longest`.
    fn wait(&self, longest: Duration, condition: impl Fn(&State) -> bool) {
        let waited = self.changed.wait_timeout_while(self.lock(), longest, |state| condition(state));
        drop(waited);
    }
}

impl Request {
    pub(crate) fn read(stream: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(stream);
        let mut lines = vec![];
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_string()),
            }
        }
        let first = lines.remove(0);
        let mut words = first.split(' ').map(ToString::to_string);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let length =
            lines.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        Ok(Self { method, target, headers: lines, body })
    }
}

fn write(mut stream: &TcpStream, status: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// An answer in the format of Nearby Search.
fn nearby(count: usize) -> String {
    let place = |number| format!("      {{ \"name\" : \"Place {number}\", \"place_id\" : \"p{number}\" }}");
    let places: Vec<String> = (1..=count).map(place).collect();
    let status = if count == 0 { "ZERO_RESULTS" } else { "OK" };
    format!(
        "{{\n   \"html_attributions\" : [],\n   \"results\" : [\n{}\n   ],\n   \"status\" : \"{status}\"\n}}\n",
        places.join(",\n")
    )
}

/// Results of about 3 MiB, three times the size that a node accepts.
const HUGE_RESULTS: usize = 60_000;
