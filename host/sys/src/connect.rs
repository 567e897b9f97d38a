//! Opening of a connection to a host that may have several addresses, over a network that may lose packets.
//!
//! Knows nothing of what the connection is for. Bounds: the time of the caller, and a few connections at once.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Opens a connection to one of the addresses, and returns which. The first packet of a connection may be lost in a cut, and the kernel
/// repeats it after a second only, so further connections are begun, to each address in turn, and the first one that is there is taken.
/// Cancel safe: the others are closed.
///
/// ```
/// use std::time::Duration;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let there = listener.local_addr()?;
/// let (_stream, address) = herd_sys::connect::open(&[there], Duration::from_secs(3)).await?;
/// assert_eq!(address, there);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Every address refused, or did not answer within `longest`.
pub async fn open(addresses: &[SocketAddr], longest: Duration) -> Result<(TcpStream, SocketAddr), NotOpened> {
    let deadline = Instant::now() + longest;
    let mut planned: VecDeque<SocketAddr> =
        addresses.iter().copied().cycle().take(OPENING_MAX.max(addresses.len())).collect();
    let mut opening = FuturesUnordered::new();
    let mut failed: Vec<(SocketAddr, io::Error)> = Vec::new();
    loop {
        if let Some(address) = planned.pop_front() {
            opening.push(async move { (address, TcpStream::connect(address).await) });
        }
        // No further one, but the last one has its time.
        let next_at = if planned.is_empty() { deadline } else { deadline.min(Instant::now() + REPEAT_AFTER) };
        match timeout_at(next_at, opening.next()).await {
            Ok(Some((address, Ok(stream)))) => return Ok((stream, address)),
            Ok(Some((address, Err(error)))) => {
                // It would refuse again, while another one may yet answer.
                planned.retain(|other| *other != address);
                if failed.iter().all(|(other, _)| *other != address) {
                    failed.push((address, error));
                }
                if failed.len() == addresses.len() {
                    break;
                }
            }
            Ok(None) if planned.is_empty() => break,
            Err(_) if planned.is_empty() || Instant::now() >= deadline => break,
            Ok(None) | Err(_) => {}
        }
    }
    let silent = addresses.iter().copied().filter(|one| failed.iter().all(|(other, _)| other != one)).collect();
    Err(NotOpened { silent, failed, longest })
}

/// No address of a host accepted a connection: it is away, nothing listens there, or something in between drops packets.
#[derive(Debug)]
pub struct NotOpened {
    failed: Vec<(SocketAddr, io::Error)>,
    /// Addresses that did not answer.
    silent: Vec<SocketAddr>,
    longest: Duration,
}

impl NotOpened {
    /// Returns true if a host answered that nothing listens there.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.failed.iter().any(|(_, error)| error.kind() == io::ErrorKind::ConnectionRefused)
    }
}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failed.iter().map(|(address, error)| format!("{address}: {error}"));
        let silent = self.silent.iter().map(|address| format!("{address}: no connection within {:?}", self.longest));
        f.write_str(&failed.chain(silent).collect::<Vec<_>>().join(", "))
    }
}

impl std::error::Error for NotOpened {}

/// Time after which a further connection is begun. A cut that has healed is noticed this late at the latest.
pub const REPEAT_AFTER: Duration = Duration::from_millis(125);
/// Connections of one attempt, and as many as there are addresses if those are more.
const OPENING_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use tokio::net::TcpSocket;

    use super::*;

    /// Goal: a host is reached over whichever of its addresses works. Method: addresses that refuse around one that accepts. Those that
    /// refuse are bound and do not listen, so that nobody else listens there meanwhile.
    #[tokio::test]
    async fn addresses_of_a_name_are_tried_until_one_accepts() {
        let bound = |ip: &str| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(format!("{ip}:0").parse().unwrap()).unwrap();
            let address = socket.local_addr().unwrap();
            (socket, address)
        };
        let ((accepting, there), (_refusing, gone)) = (bound("127.0.0.1"), bound("127.0.0.2"));
        let _listener = accepting.listen(16).unwrap();
        let longest = Duration::from_secs(60);
        for addresses in [vec![gone, there], vec![there, gone], vec![there]] {
            assert_eq!(open(&addresses, longest).await.unwrap().1, there, "{addresses:?}");
        }
        let refused = open(&[gone], longest).await.unwrap_err();
        assert!(refused.is_refusal() && refused.to_string().starts_with(&format!("{gone}: ")), "{refused}");
    }
}
