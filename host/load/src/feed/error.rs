//! Errors of a feed.

use thiserror::Error;

use crate::client::ClientError;

/// Why a walk could not begin or go on. Reports sent until then stay with the herd.
#[derive(Debug, Error)]
pub enum FeedError {
    /// There is nothing to walk.
    #[error("the track has no points")]
    NoPoints,
    /// The client id is empty or holds white space, which would make every line invalid.
    #[error("{client:?} is not a client id: it must not be empty nor hold white space")]
    ClientId {
        /// The id given.
        client: String,
    },
    /// The speed is negative, infinite or not a number.
    #[error("{speed} is not a speed: it must be 0 or more")]
    Speed {
        /// The speed given.
        speed: f64,
    },
    /// The node that takes the reports was not reached or did not answer, also not on a fresh connection.
    #[error("{node} did not answer report {number}")]
    Unanswered {
        /// The node's name.
        node: String,
        /// Which point, from 1.
        number: usize,
        /// What happened.
        source: ClientError,
    },
}
