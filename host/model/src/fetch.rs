//! A request to an upstream and its answer.

use herd_sdk::{Failure, Method, Outcome};

/// A request to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The name of the upstream, as the guest wrote it.
    pub upstream: Vec<u8>,
    /// How.
    pub method: Method,
    /// Path and query behind the base URL.
    pub path: Vec<u8>,
    /// The body of a post.
    pub body: Vec<u8>,
}

/// How a request to an upstream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// With an answer.
    Response {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// Without.
    Failed(Failure),
}

impl Answered {
    /// As a guest sees it.
    #[must_use]
    pub fn outcome(&self) -> Outcome<'_> {
        match self {
            Self::Response { status, body } => Outcome::Answered { status: *status, body },
            Self::Failed(failure) => Outcome::Failed(*failure),
        }
    }
}
