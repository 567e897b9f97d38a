//! Attacks, each made once: what it sends, and whether the node refused it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::link_frames::{self, ANSWER_MAX, Reply, await_pong, greet, hello, is_closed, ping};
use crate::scene::{Loot, MEMBER, NEIGHBOUR};
use crate::stranger::Stranger;

/// Something that is sent, and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attack {
    NoCertificate,
    SelfSigned,
    AnotherHerd,
    AnotherAuthority,
    Expired,
    Revoked,
    AnotherName,
    SecondLink,
    PlainText,
    OldTls,
    Replayed,
    BombBefore,
    BombInHello,
    BombAfter,
    TinyFrames,
    SwapOverLink,
    SwapWithoutToken,
    AbsurdReign,
    AnotherUser,
    WebPage,
}

impl Attack {
    /// Makes the attack once, and returns whether it was refused.
    ///
    /// # Errors
    ///
    /// It could not be made.
    pub(crate) async fn perform(self, loot: &Loot) -> Result<bool> {
        let as_neighbour = hello(&loot.herd, NEIGHBOUR, 7);
        Ok(match self {
            Self::NoCertificate => is_refused(loot, &loot.no_certificate, &as_neighbour).await?,
            Self::SelfSigned => is_refused(loot, &loot.self_signed, &as_neighbour).await?,
            Self::AnotherHerd => is_refused(loot, &loot.of_another_herd, &as_neighbour).await?,
            Self::AnotherAuthority => is_refused(loot, &loot.of_another_authority, &as_neighbour).await?,
            Self::Expired => is_refused(loot, &loot.expired, &hello(&loot.herd, MEMBER, 1)).await?,
            Self::Revoked => is_refused(loot, &loot.revoked, &hello(&loot.herd, "Campbell", 1)).await?,
            Self::AnotherName => is_refused(loot, &loot.member, &as_neighbour).await?,
            Self::SecondLink => is_refused(loot, &loot.neighbour, &as_neighbour).await?,
            Self::OldTls => is_refused(loot, &loot.old_tls, &as_neighbour).await?,
            Self::SwapOverLink => {
                let hello = [as_neighbour, link_frames::message(b"prepare, and commit, this guest")].concat();
                is_refused(loot, &loot.of_another_authority, &hello).await?
            }
            Self::PlainText => is_cut_off(loot, &as_neighbour).await?,
            Self::Replayed => is_cut_off(loot, &loot.recorded).await?,
            Self::BombBefore => is_cut_off(loot, &[LENGTH_BOMB, [0; 4], [0; 4]].concat()).await?,
            Self::BombInHello => {
                let mut stream = loot.member.open(TcpStream::connect(loot.link).await?).await?;
                stream.write_all(&LENGTH_BOMB).await?;
                stream.flush().await?;
                is_closed(&mut stream).await
            }
            Self::BombAfter => is_ended(loot, &LENGTH_BOMB).await?,
            Self::AbsurdReign => is_ended(loot, &link_frames::report(MEMBER, ABSURD_REIGN)).await?,
            Self::TinyFrames => is_cut_off(loot, &tiny_frames()).await?,
            Self::SwapWithoutToken => {
                let request = format!(
                    "POST /v1/herd/swap HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-length: 1\r\n\r\n0",
                    loot.admin,
                    "0".repeat(64)
                );
                status(TcpStream::connect(loot.admin).await?, &request).await? == 401
            }
            Self::WebPage => {
                let request = format!(
                    "POST /v1/herd/rollback HTTP/1.1\r\nhost: {}\r\norigin: https://example.com\r\n{}\r\n",
                    loot.admin, loot.token
                );
                status(TcpStream::connect(loot.admin).await?, &request).await? == 403
            }
            Self::AnotherUser => {
                let loot_socket = loot.socket.clone();
                tokio::task::spawn_blocking(move || status_as_another_user(&loot_socket)).await?? == 403
            }
        })
    }
}

/// Sends a hello over TLS, and returns whether it is refused.
async fn is_refused(loot: &Loot, stranger: &Stranger, hello: &[u8]) -> Result<bool> {
    match stranger.open(TcpStream::connect(loot.link).await?).await {
        Ok(mut stream) => Ok(greet(&mut stream, hello).await? == Reply::Refused),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(error.into()),
        // Of TLS 1.2 the handshake fails at once.
        Err(_) => Ok(true),
    }
}

/// Sends bytes without TLS, and returns whether the node closes the connection.
async fn is_cut_off(loot: &Loot, bytes: &[u8]) -> Result<bool> {
    let (mut source, mut sink) = TcpStream::connect(loot.link).await?.into_split();
    // The node closes in the middle of what is long.
    let writing = async {
        let _ = sink.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = writing => Ok(false),
        is_closed = is_closed(&mut source) => Ok(is_closed),
    }
}

/// Links as a member, sends bytes, and returns whether the node ends the link.
async fn is_ended(loot: &Loot, bytes: &[u8]) -> Result<bool> {
    let mut stream = linked(loot).await?;
    stream.write_all(bytes).await?;
    stream.flush().await?;
    Ok(is_closed(&mut stream).await)
}

/// Links as the member whose key an attacker has.
async fn linked(loot: &Loot) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>> {
    let mut stream = loot.member.open(TcpStream::connect(loot.link).await?).await?;
    let reply = greet(&mut stream, &hello(&loot.herd, MEMBER, 1)).await?;
    ensure!(reply == Reply::Linked, "the member is refused, so it can do no harm");
    Ok(stream)
}

/// Shows that a link stays after frames like those that end it: the node refuses what is wrong with them, and not the way they are sent.
///
/// # Errors
///
/// It does not stay.
pub(crate) async fn control(loot: &Loot) -> Result<()> {
    let mut stream = linked(loot).await?;
    stream.write_all(&link_frames::report(MEMBER, 0)).await?;
    stream.write_all(&ping(1)).await?;
    stream.flush().await?;
    await_pong(&mut stream, 1).await.context("the node ends a link on which nothing is wrong")
}

/// Sends tiny frames on a link that are all right, and returns the time until the node has taken them all.
///
/// # Errors
///
/// The node ends the link.
pub(crate) async fn tiny_frames_of_a_member(loot: &Loot, count: usize) -> Result<Duration> {
    let (mut source, mut sink) = tokio::io::split(linked(loot).await?);
    let began = Instant::now();
    let writing = write_pings(&mut sink, count);
    tokio::select! {
        written = writing => written.context("the node ends the link")?,
        heard = await_pong(&mut source, LAST_PING) => heard.context("the node ends the link")?,
    }
    Ok(began.elapsed())
}

/// Writes pings, and then one until somebody has heard the pong.
async fn write_pings(sink: &mut (impl AsyncWrite + Unpin), count: usize) -> io::Result<()> {
    let frames = ping(1).repeat(1000);
    for _ in 0..count / 1000 {
        sink.write_all(&frames).await?;
    }
    loop {
        // Repeated, because pongs of a peer that pings faster than it reads are dropped.
        sink.write_all(&ping(LAST_PING)).await?;
        sink.flush().await?;
        sleep(Duration::from_millis(100)).await;
    }
}

/// Opens connections to the port of links, each with the beginning of a handshake, holds them all, and links as a member meanwhile, again
/// and again. Returns how many the node has closed, and the longest time until a link.
///
/// # Errors
///
/// Connections cannot be opened, or the member did not link once.
pub(crate) async fn unfinished_handshakes(loot: &Arc<Loot>, count: usize) -> Result<(usize, Duration)> {
    let is_over = Arc::new(AtomicBool::new(false));
    let linking = tokio::spawn(link_until(Arc::clone(loot), Arc::clone(&is_over)));
    let mut held = JoinSet::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(loot.link).await?;
        held.spawn(async move {
            let _ = stream.write_all(HANDSHAKE_BEGINNING).await;
            is_closed(&mut stream).await
        });
    }
    is_over.store(true, Ordering::Relaxed);
    let mut closed = 0;
    while let Some(is_closed) = held.join_next().await {
        closed += usize::from(is_closed?);
    }
    Ok((closed, linking.await?.context("the member did not link once")?))
}

/// Links as a member again and again, and returns the longest time until a link, with what had to be repeated.
async fn link_until(loot: Arc<Loot>, is_over: Arc<AtomicBool>) -> Option<Duration> {
    let mut longest = None;
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        while linked(&loot).await.is_err() && began.elapsed() < ANSWER_MAX {
            sleep(Duration::from_millis(5)).await;
        }
        longest = longest.max(Some(began.elapsed()));
        sleep(Duration::from_millis(20)).await;
    }
    longest
}

/// Port at which somebody is slow.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Port {
    Client,
    ClientTls,
    Link,
    Admin,
    AdminSocket,
}

/// Opens connections to a port and sends a byte a second on each, and returns how many the node has closed.
///
/// # Errors
///
/// Connections cannot be opened.
pub(crate) async fn slow_loris(loot: &Arc<Loot>, port: Port, count: usize) -> Result<usize> {
    let mut held = JoinSet::new();
    for _ in 0..count {
        let (address, beginning): (_, &'static [u8]) = match port {
            Port::Client => (loot.client, b"IAMAT kiwi"),
            Port::ClientTls => (loot.client_tls, HANDSHAKE_BEGINNING),
            Port::Link => (loot.link, HANDSHAKE_BEGINNING),
            Port::Admin => (loot.admin, REQUEST_BEGINNING),
            Port::AdminSocket => {
                let stream = UnixStream::connect(&loot.socket).await?;
                held.spawn(trickle(stream, REQUEST_BEGINNING));
                continue;
            }
        };
        held.spawn(trickle(TcpStream::connect(address).await?, beginning));
    }
    let mut closed = 0;
    while let Some(is_closed) = held.join_next().await {
        closed += usize::from(is_closed?);
    }
    Ok(closed)
}

/// Sends a byte a second until the node closes the connection, and returns whether it does.
async fn trickle(stream: impl AsyncRead + AsyncWrite, beginning: &'static [u8]) -> bool {
    let (mut source, mut sink) = tokio::io::split(stream);
    let writing = async {
        for byte in beginning.iter().chain(std::iter::repeat(&b'0')) {
            let _ = sink.write_all(&[*byte]).await;
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = writing => false,
        is_closed = is_closed(&mut source) => is_closed,
    }
}

/// Sends a request and returns the status of the answer.
async fn status(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Result<u16> {
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0; 12];
    timeout(ANSWER_MAX, stream.read_exact(&mut head)).await.context("no answer")??;
    let head = std::str::from_utf8(&head)?;
    head.strip_prefix("HTTP/1.1 ").and_then(|status| status.parse().ok()).with_context(|| format!("{head:?}"))
}

/// Asks over the admin socket as nobody, and returns the status of the answer. The directory of the socket lets everybody in meanwhile: the
/// kernel would otherwise keep the request from the node.
fn status_as_another_user(socket: &std::path::Path) -> Result<u16> {
    let directory = socket.parent().context("a socket is in a directory")?;
    let _open = Opened::new(directory, socket)?;
    let name = socket.file_name().context("a socket has a name")?;
    // From the directory, because those above it may be closed to others. The process inherits it.
    let program = std::env::current_exe()?;
    let mut child = Command::new("/proc/self/exe");
    child.arg0(program).arg(ASK_SOCKET).arg(name).current_dir(directory).uid(NOBODY).gid(NOBODY);
    let output = child.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("a process of another user")?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim().parse().with_context(|| format!("nobody heard {said:?}"))
}

/// Modes that let everybody use a socket, taken back on drop.
struct Opened<'a>([(&'a std::path::Path, std::fs::Permissions); 2]);

impl<'a> Opened<'a> {
    fn new(directory: &'a std::path::Path, socket: &'a std::path::Path) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let before = |path| -> Result<_> { Ok((path, std::fs::metadata(path)?.permissions())) };
        let opened = Self([before(directory)?, before(socket)?]);
        for (path, mode) in [(directory, 0o755), (socket, 0o666)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        Ok(opened)
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        for (path, permissions) in &self.0 {
            let _ = std::fs::set_permissions(path, permissions.clone());
        }
    }
}

/// Process of another user: asks for the status over a socket of the current directory, and prints the status of the answer.
///
/// # Errors
///
/// The socket cannot be reached.
pub(crate) fn ask_socket(name: &str) -> Result<()> {
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(name).context("nobody cannot connect")?;
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    println!("{}", String::from_utf8_lossy(&head[9..]));
    Ok(())
}

/// Records of TLS with a byte each: the beginning of a hello that is longer than a node reads.
fn tiny_frames() -> Vec<u8> {
    let message = [1, 0, 0xff, 0xff].into_iter().chain(std::iter::repeat(0)).take(TINY_FRAMES);
    message.flat_map(|byte| [0x16, 3, 1, 0, 1, byte]).collect()
}

/// Repeats every attack of a list until it is told to stop, and counts them.
pub(crate) async fn repeat(loot: Arc<Loot>, attacks: &'static [Attack], made: Arc<AtomicU64>) {
    for attack in attacks.iter().cycle() {
        // Its outcome was counted before.
        let _ = attack.perform(&loot).await;
        made.fetch_add(1, Ordering::Relaxed);
    }
}

/// Argument with which this program is a process of another user.
pub(crate) const ASK_SOCKET: &str = "--ask-socket";
/// Tiny frames of one connection; twenty connections make a million.
pub(crate) const TINY_FRAMES: usize = 50_000;
/// A frame of 4 GiB.
const LENGTH_BOMB: [u8; 4] = [0xff; 4];
const ABSURD_REIGN: u64 = (1 << 32) + 1;
/// Head of a record with the beginning of a client's hello.
const HANDSHAKE_BEGINNING: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
const REQUEST_BEGINNING: &[u8] = b"GET /v1/status HTTP/1.1\r\nx-slow: ";
const LAST_PING: u64 = 0x7777_7777;
/// The user `nobody`.
const NOBODY: u32 = 65_534;
