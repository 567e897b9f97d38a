//! Worker threads: one per processor unless configured, each with a runtime of its own.
//!
//! A session stays on one worker from its accept to its end, so a client's line stays on one core from read to write, and
//! sessions need no lock. Tasks of links and listeners are distributed round robin and stay where they start.
//!
//! Owns the threads and their number. State per worker is found by [`index`], without a lock that all workers share. Knows nothing
//! of the tasks. Bounds: jobs that wait for a worker.

use std::cell::Cell;
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle, LocalOptions};
use tokio::sync::mpsc;

/// The worker threads of a process. Dropping this ends them, and the tasks that run on them.
///
/// # Examples
///
/// ```
/// use std::sync::mpsc;
///
/// use herd_sys::workers::{self, Workers};
///
/// # fn main() -> std::io::Result<()> {
/// workers::set_count(2);
/// let workers = Workers::start()?;
/// let (sender, receiver) = mpsc::channel();
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// runtime.block_on(workers.run_on(1, move || sender.send(workers::index()).unwrap()));
/// assert_eq!(receiver.recv(), Ok(1));
/// # Ok(())
/// # }
/// ```
pub struct Workers {
    workers: Box<[Worker]>,
    rotation: WorkerRotation,
}

/// Round robin over the workers, for tasks that do not belong to a session. Does not keep the workers alive.
#[derive(Clone)]
pub struct WorkerRotation(Arc<(Box<[Handle]>, AtomicUsize)>);

struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// A function for a worker thread, which may spawn tasks that stay on the thread.
type Job = Box<dyn FnOnce() + Send>;

impl Workers {
    /// Starts [`count`] workers.
    ///
    /// # Errors
    ///
    /// A thread or its runtime cannot be created. Workers that had started end.
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

    /// Runs a job on a worker; `worker` is taken modulo the number of workers. Returns when the job is queued, and waits while
    /// the queue is full. Cancel safe: a job that is not queued is dropped.
    pub async fn run_on(&self, worker: usize, job: impl FnOnce() + Send + 'static) {
        if let Some(jobs) = &self.workers[worker % self.workers.len()].jobs {
            let _ = jobs.send(Box::new(job)).await;
        }
    }

    /// Returns a round robin over the workers. All of a process share one position.
    #[must_use]
    pub fn rotation(&self) -> WorkerRotation {
        self.rotation.clone()
    }
}

impl WorkerRotation {
    /// Returns the runtime of the next worker.
    #[must_use]
    pub fn next(&self) -> &Handle {
        let (handles, next) = &*self.0;
        &handles[next.fetch_add(1, Ordering::Relaxed) % handles.len()]
    }

    /// Waits until every worker has run a task, and returns whether all did: `false` if one has ended. Waits as long as a worker
    /// hangs. Cancel safe.
    pub(crate) async fn answered(&self) -> bool {
        // Spawned all at once, so that the wait is that of the slowest.
        let tasks: Vec<_> = self.all().iter().map(|handle| handle.spawn(async {})).collect();
        for task in tasks {
            if task.await.is_err() {
                return false;
            }
        }
        true
    }

    /// Returns the runtimes of all workers.
    #[must_use]
    pub fn all(&self) -> &[Handle] {
        &self.0.0
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
            // Without waiting for blocking tasks: the look-up of a name may take minutes and must not delay the exit.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name(format!("herd-worker-{index}")).spawn(body)?;
        let handle = start.recv().unwrap_or_else(|_| Err(io::Error::other("a worker thread panicked at its start")))?;
        Ok((Self { jobs: Some(jobs), thread: Some(thread) }, handle))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The thread ends when its channel closes, so this comes before the join.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Sets the number of worker threads. Must come before anything reads it; later calls have no effect.
pub fn set_count(count: usize) {
    let _ = COUNT.set(count.max(1));
}

/// Number of worker threads: one per processor unless configured.
pub fn count() -> usize {
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// Number of different values of [`index`]: one per worker, and one that all other threads share.
pub fn slots() -> usize {
    count() + 1
}

/// Number of this thread, below [`slots`]. Threads that are no workers share the last one.
pub fn index() -> usize {
    INDEX.get().unwrap_or_else(count)
}

thread_local! {
    static INDEX: Cell<Option<usize>> = const { Cell::new(None) };
}

static COUNT: OnceLock<usize> = OnceLock::new();

/// Jobs that wait for one worker. Jobs are few: one per listener of a node.
const JOBS_MAX: usize = 1024;
/// Tasks polled between two polls of the sockets. All sessions that one poll found ready should run before the batcher decides
/// their input in one call.
const TASKS_PER_IO_POLL: u32 = 128;

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc::channel;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn workers_answer_when_the_slowest_does_and_never_once_one_has_ended() {
        set_count(2);
        let workers = Workers::start().unwrap();
        let rotation = workers.rotation();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert!(rotation.answered().await);
            let (entered, hangs) = channel();
            let (goes_on, released) = channel::<()>();
            let hang = move || {
                entered.send(()).unwrap();
                let _ = released.recv();
            };
            workers.run_on(0, hang).await;
            hangs.recv().unwrap();
            let mut answered = pin!(rotation.answered());
            assert_eq!(answered.as_mut().now_or_never(), None);
            // Any other worker has answered when it has run this.
            for other in &rotation.all()[1..] {
                other.spawn(async {}).await.unwrap();
            }
            assert_eq!(answered.as_mut().now_or_never(), None, "worker 0 hangs");
            drop(goes_on);
            assert!(answered.await);
        });
        drop(workers);
        assert!(!runtime.block_on(rotation.answered()));
    }
}
