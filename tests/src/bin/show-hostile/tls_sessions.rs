//! Memory of a client's session with TLS beside that of a plain one, and what handshakes cost.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Herd, Process, Reporter, Row, WAIT_MAX};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::open_files;
use crate::stranger::Stranger;

pub(crate) const ROW: Row = Row {
    name: "tls-sessions",
    figures: &[
        Bar { figure: "memory of a session with TLS, beside a plain one", bar: "at most 24 KiB more" },
        Bar { figure: "handshakes of clients", bar: "at least 1000 a processor second" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    // Those of the node are files of its own process.
    let sessions = if open_files::allow_all()? > SESSIONS + 1000 { SESSIONS } else { SESSIONS_FEW };
    let plain = per_session(sessions, |herd| (herd.address("Riley"), None))?;
    let tls = Stranger::without_certificate("");
    let tls = per_session(sessions, |herd| (herd.tls_address("Riley"), Some(tls.clone())))?;
    let more = tls.bytes - plain.bytes;
    let value = format!("{:.0} and {:.0} bytes, {more:+.0}", tls.bytes, plain.bytes);
    reporter.show("memory of a session with TLS, beside a plain one", value, more <= MORE_MAX);
    ensure!(tls.handshake_ns > 0.0, "the node has no thread herd-handshakes, or it did nothing");
    let rate = 1e9 / tls.handshake_ns;
    let value = format!("{rate:.0} a processor second");
    reporter.show("handshakes of clients", value, rate >= HANDSHAKES_MIN);
    reporter.tell("sessions of each kind, open at once", sessions);
    Ok(())
}

/// Cost of a session to its node.
struct Cost {
    /// Resident memory.
    bytes: f64,
    /// Processor time of the thread of handshakes.
    handshake_ns: f64,
}

/// Opens sessions that have each sent a report and had its answer, and are all open at the end.
fn per_session(count: usize, port: impl Fn(&Herd) -> (SocketAddr, Option<Stranger>)) -> Result<Cost> {
    let herd = Herd::of_one().as_for_users().with_tls();
    let node = herd.run("Riley");
    let (address, tls) = port(&herd);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // What the first ones make the node allocate is for all.
    let _first = runtime.block_on(open(address, tls.clone(), count / 20))?;
    let spent = |node: &Process| node.processor_ns("herd-handshakes");
    let (before, before_ns) = (node.resident_bytes(), spent(&node));
    let sessions = runtime.block_on(open(address, tls, count))?;
    let (bytes, ns) = (node.resident_bytes() - before, spent(&node) - before_ns);
    drop(sessions);
    Ok(Cost { bytes: bytes as f64 / count as f64, handshake_ns: ns as f64 / count as f64 })
}

async fn open(address: SocketAddr, tls: Option<Stranger>, count: usize) -> Result<Vec<Box<dyn Session>>> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for _ in 0..count {
        let (places, tls) = (Arc::clone(&places), tls.clone());
        opening.spawn(async move {
            let _place = places.acquire_owned().await?;
            let stream = TcpStream::connect(address).await?;
            let mut session: Box<dyn Session> = match tls {
                Some(tls) => Box::new(tls.open(stream).await?),
                None => Box::new(stream),
            };
            session.write_all(LINE).await?;
            session.flush().await?;
            let mut answer = [0; 3];
            timeout(WAIT_MAX, session.read_exact(&mut answer)).await??;
            ensure!(answer == *b"AT ", "a report was answered with {answer:?}");
            Ok::<_, anyhow::Error>(session)
        });
    }
    let mut open = Vec::with_capacity(count);
    while let Some(session) = opening.join_next().await {
        open.push(session?.context("a session does not open")?);
    }
    Ok(open)
}

/// Connection of a client.
trait Session: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session for S {}

/// Of one client, so that records take no memory.
const LINE: &[u8] = b"IAMAT kiwi +34.068930-118.445127 1520023934.918963997\n";
const SESSIONS: usize = 10_000;
/// With few open files.
const SESSIONS_FEW: usize = 2000;
const AT_ONCE: usize = 64;
const MORE_MAX: f64 = 24.0 * 1024.0;
const HANDSHAKES_MIN: f64 = 1000.0;
