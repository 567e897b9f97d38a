//! Call: one line for a node and the place for its answer.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::NodeFailure;

/// Repetition of a request whose connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The request may be performed twice, as one that only reads.
    Always,
    /// Only a request that was certainly not sent is made at another node.
    IfUnsent,
}

/// Form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `AT` line, or a refusal.
    At,
    /// `AT` line and JSON, or a refusal.
    Places,
    /// Any line.
    Line,
}

/// Line for a node, and who waits for the answer.
#[derive(Debug)]
pub(crate) struct Call {
    /// With its newline. Shared, because a call may be made several times.
    pub(crate) line: Arc<[u8]>,
    pub(crate) form: Form,
    pub(crate) answer: oneshot::Sender<Result<RawAnswer, Loss>>,
}

impl Call {
    /// Returns whether a first line may be the answer to this line: a refusal repeats the line, and a location is that of the client, for a
    /// report the reported one. Anything else means that answers and lines are no longer in step, or that the node serves other logic.
    pub(crate) fn is_answered_by(&self, answer: &str) -> bool {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        if self.form == Form::Line || answer.strip_prefix("? ").is_some_and(|copy| copy.as_bytes() == line) {
            return true;
        }
        let Some(located) = answer.strip_prefix("AT ") else { return false };
        let mut asked = line.splitn(2, |&byte| byte == b' ').skip(1);
        // Without the node and the skew.
        let found = located.splitn(3, ' ').nth(2).map(str::as_bytes);
        match self.form {
            Form::At => found.is_some() && found == asked.next(),
            _ => {
                let first = |fields: Option<&[u8]>| {
                    fields.and_then(|text| text.split(|&byte| byte == b' ').next().map(<[u8]>::to_vec))
                };
                found.is_some() && first(found) == first(asked.next())
            }
        }
    }
}

/// Answer as it arrived.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    /// First line, without its end.
    pub(crate) line: String,
    /// JSON after it; empty if there is none.
    pub(crate) json: String,
}

/// Call without an answer.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) failure: Arc<NodeFailure>,
    pub(crate) progress: Progress,
}

/// Progress of a call when its node was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Certainly not sent.
    Unsent,
    /// Sent behind others that were not answered either.
    Behind,
    /// The next to be answered: the node may have failed because of it.
    Next,
}
