//! `--watch`: a herd gets the content of a file as its logic, whenever it changes.
//!
//! `herd up` and `herd run` watch from inside: the loop is on a thread that may block, for as long as the nodes serve. It has the whole herd swap as an operator would,
//! through [`AdminHost`], so what it does is in the audit log, and `herd rollback` undoes it. Nodes of one process share an
//! engine, so a guest is compiled once. `herd swap FILE --watch` does the same from outside, for as long as it runs.

mod local_herd;
mod remote_herd;
mod swap_target;
mod swapper;

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use herd_admin::operator;
use herd_audit::sanitize;
use herd_model::limits::GUEST_BYTES_MAX;
use herd_sys::{Look, WatchedFile};
use tokio::sync::oneshot;

use self::local_herd::LocalHerd;
use self::swap_target::SwapTarget;
use self::swapper::{Swapper, print, print_error};
use crate::node::Node;

pub(super) use self::remote_herd::RemoteHerd;

/// A file that is watched. Dropped, it is no more; a swap that is under way is done.
pub(super) struct Watch {
    _stop: Sender<()>,
    first: Option<oneshot::Receiver<()>>,
}

impl Watch {
    /// Begins to watch a file for these nodes. Has to be called in a runtime.
    pub(super) fn start(path: &Path, nodes: &[Node]) -> Self {
        let (stop, stopped) = channel();
        let (looked, first) = oneshot::channel();
        let operator = format!("--watch {}, operator {}", path.display(), operator());
        let swapper = Swapper::new(LocalHerd { nodes: nodes.iter().map(Node::admin_host).collect(), operator }, path);
        let path = path.to_path_buf();
        let watching = tokio::task::spawn_blocking(move || watch(&path, &swapper, &stopped, Some(looked)));
        tokio::spawn(async move {
            if let Err(error) = watching.await {
                tracing::error!(%error, "nothing is watched any more");
            }
        });
        Self { _stop: stop, first: Some(first) }
    }

    /// Waits until what was in the file at the start is served or refused, if it was there. Cancel safe.
    pub(super) async fn first(&mut self) {
        if let Some(first) = &mut self.first {
            // A guest that takes long to compile, or a file that is never whole, does not keep the herd from being ready.
            let _ = tokio::time::timeout(FIRST_MAX, first).await;
            self.first = None;
        }
    }
}

/// Has a herd follow a file for as long as this process lives.
pub(super) fn follow(path: &Path, target: RemoteHerd) {
    let (_stop, stopped) = channel();
    watch(path, &Swapper::new(target, path), &stopped, None);
}

fn watch(
    path: &Path,
    swapper: &Swapper<impl SwapTarget>,
    stopped: &Receiver<()>,
    mut first: Option<oneshot::Sender<()>>,
) {
    let mut file = WatchedFile::new(path, GUEST_BYTES_MAX as u64);
    let mut waits = true;
    loop {
        let look = file.look(Instant::now());
        let is_over = look != Look::Changing;
        match look {
            Look::Same | Look::Changing => {}
            Look::Nothing if waits => print(&format!("waiting for {}", sanitize(&path.display().to_string()))),
            Look::Nothing => {}
            Look::New(guest) => swapper.swap(&guest),
            Look::Unreadable(why) => print_error(&format!("{}: {why}", swapper.name)),
        }
        waits &= !is_over;
        if let Some(first) = first.take_if(|_| is_over) {
            let _ = first.send(());
        }
        let pause = if is_over { LOOK_EVERY } else { LOOK_AGAIN };
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// A look is one `stat` if nothing has changed: a few microseconds, fifty times a second.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// While content settles, it is read at each look. This is how late it may be seen to have settled.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long the content that is there at the start may take before the herd is said to be ready without it.
const FIRST_MAX: Duration = Duration::from_secs(5);
