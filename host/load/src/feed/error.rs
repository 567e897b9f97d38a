//! Errors of a feed.

use thiserror::Error;

use crate::client::ClientError;

/// A replay could not start or continue. Reports sent until then stay in the herd.
#[derive(Debug, Error)]
pub enum FeedError {
    /// The track is empty. Nothing was sent.
    #[error("the track has no points")]
    NoPoints,
    /// The client id is empty or contains white space, so every line would be invalid. Nothing was sent.
    #[error("{client:?} is not a client id: it must not be empty or contain white space")]
    ClientId {
        /// Id that was given.
        client: String,
    },
    /// The speed is negative, infinite or not a number. Nothing was sent.
    #[error("{speed} is not a speed: it must be 0 or more")]
    Speed {
        /// Speed that was given.
        speed: f64,
    },
    /// The node that receives the reports was not reached or did not answer, on a fresh connection either.
    #[error("{node} did not answer report {number}")]
    Unanswered {
        /// Name of the node.
        node: String,
        /// Number of the point, from 1.
        number: usize,
        /// Error of the client.
        source: ClientError,
    },
}
