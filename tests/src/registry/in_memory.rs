//! A registry in memory, which takes pushes and answers pulls, and can lie in one way at a time.
//!
//! One request per connection, on a thread each. Knows one repository, whatever its name.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use herd_model::Digest;

use super::{RegistryUser, host_of};
use crate::places::Request;

/// The registry. Stops on drop.
pub struct RegistryInMemory {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// Lie of the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lie {
    /// It does not.
    #[default]
    None,
    /// Answers to a digest with the manifest of another one.
    OtherManifest,
    /// Answers with a manifest that never ends.
    EndlessManifest,
    /// Answers with a manifest that is an index of images.
    Index,
    /// Changes a byte of the guest.
    ChangedGuest,
    /// Adds a byte to the guest.
    LongGuest,
    /// Leaves out a byte of the guest.
    ShortGuest,
    /// Answers with a guest that never ends.
    EndlessGuest,
    /// Leads to another host for the guest.
    GuestAt(String),
    /// Leads to itself for the guest, for ever.
    Circle,
    /// Wants a token of another host.
    TokensAt(String),
    /// Wants the upload at another host.
    UploadAt(String),
    /// Refuses everybody who shows the password, and repeats it.
    Echo,
}

#[derive(Default)]
struct State {
    lie: Lie,
    blobs: BTreeMap<String, Vec<u8>>,
    /// By tag and by digest.
    manifests: BTreeMap<String, Vec<u8>>,
    requests: Vec<Request>,
    open: bool,
    ended: bool,
}

struct Answer {
    head: String,
    body: Vec<u8>,
    endless: bool,
}

impl RegistryInMemory {
    /// Starts an empty registry. `open`: it wants no password.
    ///
    /// # Panics
    ///
    /// If no port is free.
    #[must_use]
    fn start(open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port on loopback");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(Mutex::new(State { open, ..State::default() }));
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

    /// Starts an empty registry that wants the password of [`RegistryUser`].
    #[must_use]
    pub fn with_password() -> Self {
        Self::start(false)
    }

    /// Starts an empty registry that everybody may use: another host, to which a liar leads.
    #[must_use]
    pub fn for_everybody() -> Self {
        Self::start(true)
    }

    /// Host and port for references.
    #[must_use]
    pub fn host(&self) -> String {
        host_of(self.address)
    }

    /// Changes how it lies.
    pub fn lie(&self, lie: Lie) {
        lock(&self.state).lie = lie;
    }

    /// Copies what another registry holds.
    pub fn copy(&self, other: &Self) {
        let (blobs, manifests) = {
            let other = lock(&other.state);
            (other.blobs.clone(), other.manifests.clone())
        };
        let mut state = lock(&self.state);
        (state.blobs, state.manifests) = (blobs, manifests);
    }

    /// Requests received so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state).requests.clone()
    }

    /// Number of requests that brought the password.
    #[must_use]
    pub fn with_credentials(&self) -> usize {
        self.requests().iter().filter(|request| is_authorized(request)).count()
    }
}

impl Drop for RegistryInMemory {
    fn drop(&mut self) {
        lock(&self.state).ended = true;
        // The listener blocks in `accept` and sees the end only when a connection comes.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        if let Lie::TokensAt(realm) = &self.lie {
            let head = format!("401 No\r\nWWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\",scope=\"pull\"");
            return answer(&head, b"");
        }
        if !self.open && !is_authorized(request) {
            return answer("401 No\r\nWWW-Authenticate: Basic realm=\"test\"", b"");
        }
        if self.lie == Lie::Echo {
            let text = request.headers.join(" ");
            let body = format!("{{\"errors\":[{{\"code\":\"DENIED\",\"message\":{text:?}}}]}}");
            return answer("403 Forbidden", body.as_bytes());
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        match &*request.method {
            "GET" if path.contains("/manifests/") => self.manifest(name),
            "GET" | "HEAD" if path.contains("/blobs/") => self.blob(&request.method, path, name),
            "POST" => {
                let location = match &self.lie {
                    Lie::UploadAt(host) => format!("http://{host}{path}1"),
                    _ => format!("{path}1?state=x"),
                };
                answer(&format!("202 Accepted\r\nLocation: {location}"), b"")
            }
            "PUT" if path.contains("/manifests/") => {
                let digest = format!("sha256:{}", Digest::of(&request.body));
                self.manifests.insert(name.into(), request.body.clone());
                self.manifests.insert(digest, request.body.clone());
                answer("201 Created", b"")
            }
            "PUT" => {
                let digest = query.rsplit_once("digest=").map_or("", |(_, digest)| digest).replace("%3A", ":");
                let holds = digest == format!("sha256:{}", Digest::of(&request.body));
                self.blobs.insert(digest, request.body.clone());
                answer(if holds { "201 Created" } else { "400 Bad" }, b"")
            }
            _ => answer("404 Not Found", b""),
        }
    }

    fn manifest(&self, name: &str) -> Answer {
        let found = self.manifests.get(name);
        match &self.lie {
            Lie::OtherManifest => {
                let other = self.manifests.values().find(|manifest| Some(*manifest) != found);
                answer("200 OK", other.map_or(b"{}", Vec::as_slice))
            }
            Lie::EndlessManifest => Answer { endless: true, ..answer("200 OK", b"") },
            Lie::Index => answer("200 OK", INDEX),
            _ => found.map_or_else(|| answer("404 Not Found", b""), |manifest| answer("200 OK", manifest)),
        }
    }

    fn blob(&self, method: &str, path: &str, name: &str) -> Answer {
        let Some(blob) = self.blobs.get(name) else { return answer("404 Not Found", b"") };
        if method == "HEAD" {
            return answer("200 OK", b"");
        }
        let mut blob = blob.clone();
        match &self.lie {
            Lie::ChangedGuest => blob.iter_mut().last().into_iter().for_each(|byte| *byte ^= 1),
            Lie::LongGuest => blob.push(0),
            Lie::ShortGuest => blob.truncate(blob.len() - 1),
            Lie::EndlessGuest => return Answer { endless: true, ..answer("200 OK", b"") },
            Lie::GuestAt(host) => return answer(&format!("307 There\r\nLocation: http://{host}{path}"), b""),
            Lie::Circle => return answer(&format!("307 There\r\nLocation: {path}"), b""),
            _ => {}
        }
        answer("200 OK", &blob)
    }
}

fn serve(state: &Mutex<State>, stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(crate::WAIT_MAX))?;
    stream.set_write_timeout(Some(crate::WAIT_MAX))?;
    let request = Request::read(stream)?;
    let answer = {
        let mut state = lock(state);
        state.requests.push(request.clone());
        state.answer(&request)
    };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {}\r\nConnection: close\r\n", answer.head)?;
    if answer.endless {
        write!(stream, "\r\n")?;
        // Until the client has enough and closes.
        while stream.write_all(&[b' '; 64 << 10]).is_ok() {}
        return Ok(());
    }
    write!(stream, "Content-Length: {}\r\n\r\n", answer.body.len())?;
    stream.write_all(&answer.body)
}

fn is_authorized(request: &Request) -> bool {
    request.headers.iter().any(|header| header.to_lowercase().starts_with("authorization:"))
        && request.headers.iter().any(|header| header.ends_with(RegistryUser::BASIC))
}

fn answer(head: &str, body: &[u8]) -> Answer {
    Answer { head: head.into(), body: body.into(), endless: false }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

const INDEX: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
