//! Connections of the admin API: how many there are, and how long one lasts.
//!
//! A client holds a connection until it has sent a request, and again until it has read the answer. Both end, whatever it does, so a client
//! that sends a byte at a time holds up nobody. Knows nothing of requests. Bounds: [`ConnectionLimits`], for each way in.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::client_error::ANSWER_MAX;

/// Limits of the connections over one way in.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    /// Connections at the same time.
    pub(super) total_max: usize,
    /// Connections of one member at the same time. Users of the socket and holders of the token have no limit of their own.
    pub(super) of_member_max: usize,
    /// Time for the head of a request, also of the next one on a connection that is kept.
    pub(super) header_max: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { total_max: 64, of_member_max: 8, header_max: Duration::from_secs(10) }
    }
}

/// Places for connections over one way in.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    total: usize,
    by_member: HashMap<String, usize>,
}

/// Place of one connection, given back on drop.
pub(super) struct Place {
    taken: Arc<Mutex<Taken>>,
    member: Option<String>,
}

impl Places {
    /// Takes a place, if there is one: for a member of the herd, or for a user of this machine.
    pub(super) fn take(&self, limits: &ConnectionLimits, member: Option<String>) -> Option<Place> {
        let mut taken = self.0.lock();
        let of_member = member.as_ref().and_then(|member| taken.by_member.get(member)).copied().unwrap_or(0);
        if taken.total >= limits.total_max || of_member >= limits.of_member_max {
            return None;
        }
        taken.total += 1;
        if let Some(member) = &member {
            taken.by_member.insert(member.clone(), of_member + 1);
        }
        Some(Place { taken: Arc::clone(&self.0), member })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        taken.total -= 1;
        let Some(member) = &self.member else { return };
        if let Some(count) = taken.by_member.get_mut(member) {
            *count -= 1;
            if *count == 0 {
                taken.by_member.remove(member);
            }
        }
    }
}

/// Serves requests of one connection until it ends, sends none in time, has lasted long enough, or the server stops. Cancel safe: the
/// connection breaks, and the request under way is withdrawn. Returns whether it ended for want of a request.
pub(super) async fn serve_connection<S>(
    stream: S,
    app: Router,
    limits: ConnectionLimits,
    stopping: CancellationToken,
) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_max)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    // An error is the client's: it left, was too slow, or sent no HTTP. hyper has told it, if there was a way.
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended.is_err_and(|error| error.is_timeout()),
        () = stopping.cancelled() => {}
        () = sleep(CONNECTION_MAX) => {}
    }
    // The request under way is answered. It may take that long, and a body that trickles in for longer is given up.
    connection.as_mut().graceful_shutdown();
    let _ = timeout(ANSWER_MAX, connection).await;
    false
}

/// Life of a connection on which requests may begin.
const CONNECTION_MAX: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_per_member_and_together() {
        let places = Places::default();
        let limits = ConnectionLimits { total_max: 5, of_member_max: 2, ..ConnectionLimits::default() };
        let take = |member: &str| places.take(&limits, Some(member.into()));
        let of_mira: Vec<Place> = std::iter::from_fn(|| take("mira")).collect();
        assert_eq!(of_mira.len(), 2);
        let others: Vec<Place> = ["Riley", "Jaquez", "Juzang"].into_iter().filter_map(take).collect();
        assert_eq!(others.len(), 3);
        assert!(places.take(&limits, None).is_none(), "all places are taken");
        drop(of_mira);
        let of_users: Vec<Place> = std::iter::from_fn(|| places.take(&limits, None)).collect();
        assert_eq!(of_users.len(), 2, "users have no limit of their own");
        drop((others, of_users));
        let taken = places.0.lock();
        assert_eq!((taken.total, taken.by_member.len()), (0, 0));
    }
}
