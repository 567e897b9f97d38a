//! A request to an upstream and its answer.

use herd_sdk::{Failure, Method, Outcome};

/// A request to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
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
pub enum FetchAnswer {
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

impl FetchAnswer {
    /// As a guest sees it.
    #[must_use]
    pub fn outcome(&self) -> Outcome<'_> {
        match self {
            Self::Response { status, body } => Outcome::Answered { status: *status, body },
            Self::Failed(failure) => Outcome::Failed(*failure),
        }
    }
}

/// Keeps what a guest was shown.
impl From<Outcome<'_>> for FetchAnswer {
    fn from(outcome: Outcome<'_>) -> Self {
        match outcome {
            Outcome::Answered { status, body } => Self::Response { status, body: body.into() },
            Outcome::Failed(failure) => Self::Failed(failure),
        }
    }
}
