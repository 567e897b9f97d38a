//! Errors: of an argument, of one node, and of a call after all its attempts.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use herd_sys::{HostError, LookupError};
use thiserror::Error;

/// An argument that the protocol has no place for. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidArgument {
    /// No address of a node.
    #[error("no node is named; give the address of at least one, such as \"127.0.0.1:15415\"")]
    NoNode,
    /// The address of a node is none.
    #[error(transparent)]
    Address(#[from] HostError),
    /// The name of a client is empty, longer than 1024 bytes, or has white space.
    #[error("{0:?} is no name of a client; write 1 to 1024 bytes without white space")]
    Client(String),
    /// A latitude beyond 90 or a longitude beyond 180 degrees, or no number.
    #[error("latitude {latitude}, longitude {longitude} is no location; write degrees within 90 and 180")]
    Location {
        /// Latitude in degrees.
        latitude: Number,
        /// Longitude in degrees.
        longitude: Number,
    },
    /// A time that a report cannot have.
    #[error("{0} ns since 1970 is no time of a report; it has at most 18 digits of seconds")]
    Time(u128),
    /// A radius that is no number from 0 to 50.
    #[error("{0} is no radius; write kilometres from 0 to 50")]
    Radius(Number),
    /// A bound above 20.
    #[error("{0} is no number of places; write one from 0 to 20")]
    Bound(u8),
    /// A request that is not one line of at most 64 KiB, or empty.
    #[error("a request is one line of 1 to 65536 bytes, without a newline")]
    Line,
    /// A token that cannot be sent.
    #[error("a token has 1 to 512 bytes without white space")]
    Token,
    /// A subscription to no client, or to too many.
    #[error("a subscription follows 1 to {max} clients; {count} are named")]
    Watched {
        /// Clients named.
        count: usize,
        /// Limit.
        max: usize,
    },
    /// An option that allows nothing, such as a queue without places.
    #[error("{0} is 0; it must be at least 1")]
    Zero(&'static str),
}

/// Number of an argument, for errors that can be compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Number(u64);

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self(number.to_bits())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f64::from_bits(self.0).fmt(f)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Failure of one node. The connection to it, if there was one, is closed.
#[derive(Clone, Debug, Error)]
#[error("{node}: {failure}")]
pub struct NodeError {
    /// Address of the node, as the client was given it.
    pub node: String,
    /// Reason.
    #[source]
    pub failure: Arc<NodeFailure>,
}

/// Reason why a node failed.
#[derive(Debug, Error)]
pub enum NodeFailure {
    /// Its name was not found.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// No address of it accepts connections, or not in time.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The handshake of TLS failed: no TLS at this address, or a certificate that is not trusted or has another name.
    #[error("no TLS: {0}")]
    Tls(#[source] io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[source] io::Error),
    /// The node closed the connection: it ends, is full, does not allow this address, or the line was one that ends a session.
    #[error("it closed the connection")]
    Closed,
    /// The next answer did not arrive in time.
    #[error("no answer within {0:?}")]
    AnswerTimeout(Duration),
    /// It knows no group with this token.
    #[error("it refuses the token")]
    TokenRefused,
    /// The answer is longer than any of a node.
    #[error("an answer of more than {bytes_max} bytes; is it a node?")]
    TooLong {
        /// Limit that was exceeded.
        bytes_max: usize,
    },
    /// The answer does not fit the command: the node serves other logic, or is none.
    #[error("an answer that the default logic does not give: {0:?}; does the node serve other logic?")]
    Unexpected(String),
}

/// Failure of a call after all its attempts. A report may have been kept by a node that then could not say so.
#[derive(Debug, Error)]
pub enum CallError {
    /// The call was not made.
    #[error(transparent)]
    Invalid(#[from] InvalidArgument),
    /// No node answered in time.
    #[error("no answer within {waited:?} of any node{}", last_of(last.as_ref()))]
    Timeout {
        /// Time of the call.
        waited: Duration,
        /// Last failure, if there was one.
        last: Option<NodeError>,
    },
    /// Nodes failed while they decided this very call, so often that another attempt might harm another one.
    #[error("{attempts} attempts failed, last at {last}")]
    Failed {
        /// Attempts made.
        attempts: u32,
        /// Last failure.
        last: NodeError,
    },
    /// The connection was lost after the request was sent, and the caller wants no second attempt. It was perhaps performed.
    #[error("perhaps performed: {last}")]
    Interrupted {
        /// Failure of the node.
        last: NodeError,
    },
    /// No node confirmed the report: the nodes have no room for a new client, cannot write to their disks, miss the neighbours that they need,
    /// or do not permit reports under this name. It is perhaps kept. The same report again is safe.
    #[error(
        "the report of {client} was not confirmed in {attempts} attempts; may it report under this name, and are disks and links well?"
    )]
    NotConfirmed {
        /// Name of the client.
        client: String,
        /// Attempts made.
        attempts: u32,
    },
    /// The logic of the nodes has no subscriptions.
    #[error("no node knows WATCH; it takes logic such as guest/examples/watch")]
    NoSubscriptions,
    /// The client's own task has ended, with the runtime that it was made in.
    #[error("the runtime of the client has ended")]
    RuntimeEnded,
}

fn last_of(last: Option<&NodeError>) -> String {
    last.map(|last| format!(", last {last}")).unwrap_or_default()
}
