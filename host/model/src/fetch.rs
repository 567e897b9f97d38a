//! A request to an upstream and its result.

use herd_sdk::{Failure, Method, Outcome};

/// A request to an upstream, as a guest made it. Nothing in it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// The name of the upstream, as the guest wrote it.
    pub upstream: Vec<u8>,
    /// The HTTP method.
    pub method: Method,
    /// Path and query, appended to the base URL of the upstream.
    pub path: Vec<u8>,
    /// The body of a `POST`; empty otherwise.
    pub body: Vec<u8>,
}

/// Result of a request to an upstream.
///
/// # Examples
///
/// ```
/// use herd_model::FetchAnswer;
/// use herd_sdk::{Failure, Outcome};
///
/// let answer = FetchAnswer::Response { status: 200, body: b"{}".to_vec() };
/// assert_eq!(answer.outcome(), Outcome::Answered { status: 200, body: b"{}" });
/// assert_eq!(FetchAnswer::from(Outcome::Failed(Failure::Timeout)), FetchAnswer::Failed(Failure::Timeout));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchAnswer {
    /// The upstream responded, with any status.
    Response {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// No response, for this reason.
    Failed(Failure),
}

impl FetchAnswer {
    /// Borrows the result as the outcome that a guest is shown.
    #[must_use]
    pub fn outcome(&self) -> Outcome<'_> {
        match self {
            Self::Response { status, body } => Outcome::Answered { status: *status, body },
            Self::Failed(failure) => Outcome::Failed(*failure),
        }
    }
}

/// Copies the outcome that a guest was shown, for instance to record it.
impl From<Outcome<'_>> for FetchAnswer {
    fn from(outcome: Outcome<'_>) -> Self {
        match outcome {
            Outcome::Answered { status, body } => Self::Response { status, body: body.into() },
            Outcome::Failed(failure) => Self::Failed(failure),
        }
    }
}
