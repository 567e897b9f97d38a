//! Worker threads: one per processor unless configured, each with a runtime of its own.
//!
//! A session lives on one worker from its accept to its end, so a client's line stays on one core from read to write,
//! and sessions need no lock. Links and listeners are spread over the workers; nothing moves between them later.
//!
//! What is kept per worker is found by [`index`], without a lock that all workers share.

use std::cell::Cell;
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle, LocalOptions};
use tokio::sync::mpsc;

/// The worker threads of a process. When this is dropped, they end, and what runs on them with them.
pub struct Workers {
    workers: Box<[Worker]>,
    rotation: WorkerRotation,
}

/// The workers in turn, for tasks that do not belong to a session. Does not keep them alive.
#[derive(Clone)]
pub struct WorkerRotation(Arc<(Box<[Handle]>, AtomicUsize)>);

struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// Something to do on a worker thread, where it may spawn tasks that stay there.
type Job = Box<dyn FnOnce() + Send>;

impl Workers {
    /// Starts [`count`] workers.
    ///
    /// # Errors
    ///
    /// A thread or its runtime cannot be had. Those that had started end.
    pub fn start() -> io::Result<Self> {
        let mut workers = Vec::new();
        let mut handles = Vec::new();
        for index in 0..count() {
            let (worker, handle) = Worker::start(index)?;
            workers.push(worker);
            handles.push(handle);
        }
        Ok(Self { workers: workers.into(), rotation: WorkerRotation(Arc::new((handles.into(), AtomicUsize::new(0)))) })
    }

    /// Has a job done on a worker, which is taken modulo their number. Waits while many jobs wait already.
    pub async fn run_on(&self, worker: usize, job: impl FnOnce() + Send + 'static) {
        if let Some(jobs) = &self.workers[worker % self.workers.len()].jobs {
            let _ = jobs.send(Box::new(job)).await;
        }
    }

    /// The workers in turn.
    #[must_use]
    pub fn rotation(&self) -> WorkerRotation {
        self.rotation.clone()
    }
}

impl WorkerRotation {
    /// Where to spawn the next task.
    #[must_use]
    pub fn next(&self) -> &Handle {
        let (handles, next) = &*self.0;
        &handles[next.fetch_add(1, Ordering::Relaxed) % handles.len()]
    }
}

impl Worker {
    fn start(index: usize) -> io::Result<(Self, Handle)> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(JOBS_MAX);
        let (started, start) = std::sync::mpsc::sync_channel(1);
        let body = move || {
            INDEX.set(Some(index));
            let runtime = Builder::new_current_thread()
                .enable_all()
                .event_interval(TASKS_PER_IO_POLL)
                .build_local(LocalOptions::default());
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            let _ = started.send(Ok(runtime.handle().clone()));
            runtime.block_on(async {
                while let Some(job) = waiting.recv().await {
                    job();
                }
            });
            // A task that does not end, such as a look-up of a name, must not hold up the exit.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name(format!("herd-worker-{index}")).spawn(body)?;
        let handle = start.recv().unwrap_or_else(|_| Err(io::Error::other("a worker thread panicked at its start")))?;
        Ok((Self { jobs: Some(jobs), thread: Some(thread) }, handle))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Says how many worker threads there are to be. The first call counts.
pub fn set_count(count: usize) {
    let _ = COUNT.set(count.max(1));
}

/// How many worker threads there are to be: one per processor unless configured.
pub fn count() -> usize {
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// How many numbers [`index`] gives: one per worker, and one that all other threads share.
pub fn slots() -> usize {
    count() + 1
}

/// The number of this thread, below [`slots`].
pub fn index() -> usize {
    INDEX.get().unwrap_or_else(count)
}

thread_local! {
    static INDEX: Cell<Option<usize>> = const { Cell::new(None) };
}

static COUNT: OnceLock<usize> = OnceLock::new();

/// Jobs are few: a listener of each node, and connections that another worker accepted.
const JOBS_MAX: usize = 1024;
/// Tasks that are polled before the sockets are looked at again. All sessions that one look found ready are to be
/// polled before their input is decided together.
const TASKS_PER_IO_POLL: u32 = 128;
