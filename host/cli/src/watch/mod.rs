//! `--watch`: swaps a herd to the content of a file whenever it changes.
//!
//! `herd up` and `herd run` watch from inside, on a thread that may block, for as long as the nodes serve. They swap through
//! [`AdminHost`](herd_admin::AdminHost) as an operator would, so a swap is in the audit log and `herd rollback` undoes it. The
//! nodes of a process share an engine, so a guest is compiled once. `herd swap FILE --watch` does the same from outside.
//!
//! Owns the loop and its pace. What a complete file is decides [`WatchedFile`]; when a swap is tried again [`Follower`]; what is
//! printed is up to [`Swapper`]. Bounds: the size of a guest, one swap at a time, [`FIRST_MAX`] before the herd is ready without it.

mod follower;
mod local_herd;
mod remote_herd;
mod swap_target;
mod swapper;

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use herd_admin::{Requester, operator};
use herd_audit::sanitize;
use herd_model::SignedGuest;
use herd_model::limits::{GUEST_BYTES_MAX, SIGNATURES_BYTES_MAX};
use herd_node::Node;
use herd_signing::beside;
use herd_sys::{Look, WatchedFile};
use tokio::sync::oneshot;

use self::follower::Follower;
use self::local_herd::LocalHerd;
use self::swap_target::SwapTarget;
use self::swapper::{Swapper, print, print_error};
use super::guest_file::read_signatures_beside;

pub(super) use self::remote_herd::RemoteHerd;

/// Watched file. When dropped, the watch ends after the swap under way, if any.
pub(super) struct Watch {
    _stop: Sender<()>,
    first: Option<oneshot::Receiver<()>>,
}

impl Watch {
    /// Starts to watch a file for these nodes.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(super) fn start(path: &Path, nodes: &[Node]) -> Self {
        let (stop, stopped) = channel();
        let (settled, first) = oneshot::channel();
        let requester = Requester::new(&format!("--watch {}, operator {}", path.display(), operator()));
        let follower = Follower::new(Swapper::new(
            LocalHerd { nodes: nodes.iter().map(Node::admin_host).collect(), requester },
            path,
        ));
        let path = path.to_path_buf();
        let watching = tokio::task::spawn_blocking(move || watch(&path, follower, &stopped, Some(settled)));
        tokio::spawn(async move {
            if let Err(error) = watching.await {
                tracing::error!(%error, "file is no longer watched");
            }
        });
        Self { _stop: stop, first: Some(first) }
    }

    /// Waits until the content of the file at the start serves or was refused; returns at once if the file does not exist.
    /// Cancel safe.
    pub(super) async fn first(&mut self) {
        if let Some(first) = &mut self.first {
            // Bounded, because neither a guest that compiles for minutes nor a file that keeps changing may delay a herd that
            // can serve its clients already.
            let _ = tokio::time::timeout(FIRST_MAX, first).await;
            self.first = None;
        }
    }
}

/// Swaps a herd to the content of a file for as long as this process runs. Blocks.
pub(super) fn follow(path: &Path, herd: RemoteHerd) {
    // The sender is kept, so that the loop never sees it dropped.
    let (_stop, stopped) = channel();
    watch(path, Follower::new(Swapper::new(herd, path)), &stopped, None);
}

/// Swaps on every change until the other end of `stopped` is dropped. `first` is notified once the content at the start is done.
fn watch(
    path: &Path,
    mut follower: Follower<impl SwapTarget>,
    stopped: &Receiver<()>,
    mut first: Option<oneshot::Sender<()>>,
) {
    let mut file = WatchedFile::new(path, GUEST_BYTES_MAX as u64);
    // Builds write the guest first, and its signatures behind it.
    let mut signature_file = WatchedFile::new(&beside(path), SIGNATURES_BYTES_MAX as u64);
    let mut taken: Option<SignedGuest> = None;
    // Reported only at the start: builds delete the file for a moment, which is not worth a line.
    let mut reports_missing = true;
    loop {
        let look = file.look(Instant::now());
        let is_settled = look != Look::Changing;
        match look {
            Look::Same | Look::Changing => {}
            Look::Nothing if reports_missing => {
                print(&format!("waiting for {}", sanitize(&path.display().to_string())));
            }
            Look::Nothing => {}
            Look::New(guest) => {
                let signatures = read_signatures_beside(path).ok().flatten().map(Into::into);
                let guest = SignedGuest { guest: guest.into(), signatures };
                taken = Some(guest.clone());
                follower.take(guest, Instant::now());
            }
            Look::Unreadable(why) => print_error(&format!("{}: {why}", follower.swapper.name)),
        }
        if let Look::New(signatures) = signature_file.look(Instant::now())
            && let Some(guest) = taken.as_mut().filter(|guest| guest.signatures.as_deref() != Some(&*signatures))
        {
            guest.signatures = Some(signatures.into());
            follower.take(guest.clone(), Instant::now());
        }
        reports_missing &= !is_settled;
        follower.advance(Instant::now());
        if let Some(first) = first.take_if(|_| is_settled && follower.is_done()) {
            let _ = first.send(());
        }
        let pause = if is_settled { LOOK_EVERY } else { LOOK_AGAIN };
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Pause between looks at a file that does not change. A look is one `stat`, which takes a few microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Pause between looks at a file that is being written, when each look reads it; adds to the time until its content counts as
/// settled.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Longest wait for the content at the start before the herd reports that it is ready.
const FIRST_MAX: Duration = Duration::from_secs(5);
