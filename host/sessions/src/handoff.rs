//! A connection on its way to the worker that serves it.

use crate::admission::Admission;
use crate::client_stream::DetachedStream;

/// A connection between the thread that accepted it, or finished its handshake, and the worker that serves it.
pub(crate) struct Handoff<S> {
    pub(crate) stream: DetachedStream,
    pub(crate) admission: Admission<S>,
}
