//! What links need of the node around them.

use herd_sys::TrafficLog;

use herd_replication::{ReportBatch, ReportFrame};

/// Takes what peers report and say.
pub trait PeersHost: Send + Sync + 'static {
    /// A frame of reports came from a peer. Decides and applies them before it returns.
    ///
    /// # Errors
    ///
    /// The frame is malformed, in words; the link is closed.
    fn reports(&self, from: &str, frame: &ReportFrame) -> Result<(), String>;

    /// Encodes every record of one part of what the node holds, and says whether there is a next part. Parts are
    /// numbered from 0.
    fn records_part(&self, part: usize, into: &mut ReportBatch) -> bool;

    /// A peer says something that is no report. Must not wait.
    ///
    /// # Errors
    ///
    /// It is malformed, in words; the link is closed.
    fn message(&self, from: &str, message: &[u8]) -> Result<(), String>;

    /// A link came up. Must not wait.
    fn link_up(&self, peer: &str);

    /// A link went down, and no other has taken its place. Must not wait.
    fn link_down(&self, peer: &str);

    /// Where every record goes that comes in and out, if anywhere.
    fn traffic(&self) -> Option<&TrafficLog>;
}
