//! Sessions without sockets, for benchmarks.
//!
//! Each worker generates the input of its own sessions, so a benchmark measures deciding and keeping alone, and no load
//! generator needs a core. Owns the clients that it simulates. Bounds: one pipeline of reports under way per session.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use herd_sys::workers::{self as worker, Workers};
use tokio::sync::oneshot;
use tokio::task::spawn_local;

use crate::core::conversation::Conversation;
use crate::core::pace::Pace;
use crate::core::topics::SessionId;
use crate::host::SessionsHost;
use crate::listener::Sessions;
use crate::session::Session;
use crate::shared::Shared;
use crate::transport::Transport;
use crate::worker_sessions::WorkerSessions;

/// Parameters of a synthetic load.
#[derive(Clone, Copy, Debug)]
pub struct SyntheticLoad {
    /// Sessions per worker. Each reports records of its own.
    pub sessions: usize,
    /// Reports that a session sends before it waits for the replies.
    pub pipeline: usize,
    /// Duration of the load.
    pub time: Duration,
}

impl<S: SessionsHost> Sessions<S> {
    /// Loads all workers at once and returns the number of reports that were answered. Not cancel safe: workers go on to the end
    /// of the load.
    ///
    /// # Panics
    ///
    /// If a worker panicked.
    pub async fn run_synthetic_load(&self, workers: &Workers, load: SyntheticLoad) -> u64 {
        let mut counts = Vec::new();
        for worker in 0..worker::count() {
            let (counted, count) = oneshot::channel();
            let shared = Arc::clone(self.shared());
            workers.run_on(worker, move || drop(spawn_local(load_worker(shared, worker, load, counted)))).await;
            counts.push(count);
        }
        let mut all = 0;
        for count in counts {
            all += count.await.expect("the worker reports its count");
        }
        all
    }
}

/// Runs the sessions of one worker, and sends the number of answered reports.
async fn load_worker<S: SessionsHost>(
    shared: Arc<Shared<S>>,
    worker: usize,
    load: SyntheticLoad,
    counted: oneshot::Sender<u64>,
) {
    let sessions_here = WorkerSessions::new(Arc::clone(&shared));
    spawn_local(WorkerSessions::serve(Rc::downgrade(&sessions_here), Arc::clone(&shared)));
    spawn_local(WorkerSessions::follow_confirmations(Rc::downgrade(&sessions_here), shared));
    let count = Rc::new(Cell::new(0));
    let sessions: Vec<_> = (0..load.sessions)
        .map(|number| {
            let transport = SyntheticClient::new(worker * load.sessions + number, load.pipeline, Rc::clone(&count));
            let id = SessionId((worker * load.sessions + number) as u64);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let conversation = Conversation::new(id, address);
            spawn_local(Session::new(Rc::clone(&sessions_here), transport, conversation, Pace::default()).run())
        })
        .collect();
    tokio::time::sleep(load.time).await;
    let _ = counted.send(count.get());
    sessions.iter().for_each(tokio::task::JoinHandle::abort);
}

/// A client that sends a pipeline of reports, each newer than the last one, and the next when all are answered.
struct SyntheticClient {
    reports: RefCell<Vec<u8>>,
    report_bytes: usize,
    pipeline: usize,
    sent: Cell<u64>,
    unanswered: Cell<usize>,
    answered: Rc<Cell<u64>>,
    waker: RefCell<Option<Waker>>,
}

impl SyntheticClient {
    fn new(session: usize, pipeline: usize, answered: Rc<Cell<u64>>) -> Self {
        let report = |number: usize| format!("IAMAT fed-{session:06}-{number:04} +34.068930-118.445127 1000000000.5\n");
        let reports = (0..pipeline).map(report).collect::<String>().into_bytes();
        Self {
            report_bytes: reports.len() / pipeline.max(1),
            reports: RefCell::new(reports),
            pipeline,
            sent: Cell::new(0),
            unanswered: Cell::new(0),
            answered,
            waker: RefCell::default(),
        }
    }
}

impl Transport for SyntheticClient {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        if self.unanswered.get() > 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut reports = self.reports.borrow_mut();
        let time = format!("1{:09}", self.sent.get() % 1_000_000_000);
        let before_fraction = self.report_bytes - 3;
        for report in reports.chunks_exact_mut(self.report_bytes) {
            report[before_fraction - time.len()..before_fraction].copy_from_slice(time.as_bytes());
        }
        self.sent.set(self.sent.get() + 1);
        self.unanswered.set(self.pipeline);
        into[..reports.len()].copy_from_slice(&reports);
        Ok(reports.len())
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let answers = bytes.iter().filter(|&&byte| byte == b'\n').count();
        self.answered.set(self.answered.get() + answers as u64);
        self.unanswered.set(self.unanswered.get().saturating_sub(answers));
        if self.unanswered.get() == 0
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
        Ok(bytes.len())
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unanswered.get() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.waker.replace(Some(cx.waker().clone()));
        Poll::Pending
    }

    async fn end_of_input(&self) -> io::Result<()> {
        std::future::pending().await
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn end_output(&self) -> io::Result<()> {
        Ok(())
    }
}
