//! Options of a client, with their defaults.

use std::time::Duration;

use crate::tls::ClientTls;

/// Options of a client.
///
/// ```
/// use std::time::Duration;
///
/// use herd_client::Options;
///
/// let options = Options { call_timeout: Duration::from_secs(5), ..Options::default() };
/// assert_eq!(options.answer_timeout, Duration::from_secs(12));
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// TLS, if the addresses are those for clients with TLS. Unless the settings name a server, certificates have to name the host as the
    /// address has it. Default: none.
    pub tls: Option<ClientTls>,
    /// Token that is the first line of each connection, for nodes that let only some sessions report under some names. At most 512 bytes
    /// without white space. Default: none.
    pub token: Option<String>,
    /// Time for the look-up of a node's name, its connection and the handshake together. Default: 3 s. A node that does not answer at
    /// all delays the calls that wait for it by that much, once.
    pub connect_timeout: Duration,
    /// Longest time without the next answer of a node before it counts as lost. Default: 12 s, which is more than a node takes for a
    /// query of places or a report that waits for its confirmation. A node that hangs delays calls by that much.
    pub answer_timeout: Duration,
    /// Time of a call with all its attempts. Default: 30 s.
    pub call_timeout: Duration,
    /// Attempts that may end with the loss of the node while it was deciding this call, or with a refusal that is worth another attempt.
    /// Default: 8. Failed connections count only against the time.
    pub attempts_max: u32,
    /// Nodes that are asked for a client before it counts as unknown: a node that has just started may not have heard of it yet. Each
    /// query for a client that nobody knows costs that many questions. Default: 2.
    pub unknown_at: u32,
    /// Calls that may wait for one node; further ones wait for a place, in their time. Default: 1024.
    pub queue_max: usize,
    /// Time without news after which a subscription asks its node whether it is still there. Default: 20 s.
    pub probe_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: None,
            token: None,
            connect_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(12),
            call_timeout: Duration::from_secs(30),
            attempts_max: 8,
            unknown_at: 2,
            queue_max: 1024,
            probe_after: Duration::from_secs(20),
        }
    }
}
