//! Tests of identities as their users see them: two members and a connection between them, on a clock that the test sets.

mod authority;
mod automatic;
mod credentials;
mod handshake;
mod hostile;
mod reload;
mod status;
mod trust;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::DuplexStream;

use crate::{Authority, Clock, Connection, Credentials, HandshakeError, Identity, Protocol, Role};

/// Moment at which the tests begin.
const NOW: Duration = Duration::from_secs(1_795_715_122);
const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Clock that a test sets.
#[derive(Clone)]
struct SetClock(Arc<AtomicU64>);

impl SetClock {
    fn at(now: Duration) -> Self {
        Self(Arc::new(AtomicU64::new(now.as_secs())))
    }

    fn set(&self, now: Duration) {
        self.0.store(now.as_secs(), Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        let clock = self.clone();
        Clock::new(move || Duration::from_secs(clock.0.load(Ordering::Relaxed)))
    }
}

/// Authority in a directory of its own.
struct Herd {
    _scratch: TempDir,
    authority: Authority,
}

impl Herd {
    fn new(name: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let authority = Authority::create(&scratch.path().join("authority"), name, YEAR * 10, NOW).unwrap();
        Self { _scratch: scratch, authority }
    }

    fn issue(&mut self, node: &str) -> Credentials {
        self.authority.issue(&self::node(node), YEAR, NOW).unwrap()
    }

    fn member(&mut self, node: &str) -> Identity {
        identity(&self.issue(node), NOW)
    }

    fn trust_bytes(&self) -> Vec<u8> {
        self.authority.trust().encode().into_bytes()
    }
}

fn node(name: &str) -> Role {
    Role::Node(name.into())
}

/// A member that stands at this moment for ever.
fn identity(credentials: &Credentials, now: Duration) -> Identity {
    Identity::new(credentials.clone(), SetClock::at(now).clock()).unwrap()
}

type Outcome = Result<Connection<DuplexStream>, HandshakeError>;

/// A handshake of two members: the outcome of the side that connects, and of the side that accepts. As in TLS 1.3 the side that
/// connects is done first, it reads a byte, which tells it what the other side decided.
async fn handshake(client: &Identity, server: &Identity, protocol: Protocol) -> (Outcome, Outcome) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let (near, far) = tokio::io::duplex(1 << 16);
    let connecting = async {
        let mut connected = client.connect(near, protocol).await?;
        connected.stream.read_u8().await.map_err(HandshakeError::of)?;
        Ok(connected)
    };
    let accepting = async {
        let mut accepted = server.accept(far).await?;
        accepted.stream.write_u8(1).await.map_err(HandshakeError::of)?;
        accepted.stream.flush().await.map_err(HandshakeError::of)?;
        Ok(accepted)
    };
    tokio::join!(connecting, accepting)
}

/// The reasons of both sides of a handshake that both refuse or hear of.
async fn refusals(client: &Identity, server: &Identity) -> (HandshakeError, HandshakeError) {
    let (connected, accepted) = handshake(client, server, Protocol::Link).await;
    (connected.map(|_| ()).unwrap_err(), accepted.map(|_| ()).unwrap_err())
}
