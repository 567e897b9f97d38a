//! A session with its task and its worker, over a socket: wake-ups that the batcher alone does not show.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use herd_model::{Confirmation, DecidedInputs, GenerationId, Keeping, Kept, Reign, Reroute, Side, Sides, Ticket};
use herd_sdk::{Awaiting, Decision, Effect, FanOut, InputBatch, Keep, Progress, Reply, Tie};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use super::Session;
use crate::address_limits::AddressLimits;
use crate::core::context::Context;
use crate::core::conversation::Conversation;
use crate::core::pace::{AddressBuckets, Pace};
use crate::core::topics::{SessionId, Topics};
use crate::host::{KeepRequest, Undecided};
use crate::limits::SessionLimits;
use crate::shared::Shared;
use crate::test_host::TestHost;
use crate::worker_sessions::WorkerSessions;

/// A node whose generation 2 consumes nothing and awaits a gigabyte, and whose other generations echo.
struct SwitchedHost {
    active: Mutex<GenerationId>,
    changes: watch::Sender<()>,
    decided: Notify,
}

impl TestHost for SwitchedHost {
    fn split(&self) -> Sides {
        Sides::new(*self.active.lock().unwrap())
    }

    fn split_changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn on_inputs(&self, inputs: &InputBatch, _: Side, _: Option<Reroute>) -> Result<DecidedInputs, Undecided> {
        let active = *self.active.lock().unwrap();
        let mut decision = Decision::default();
        for input in inputs.iter() {
            let progress = if active == GenerationId(2) {
                Progress { consumed: 0, awaits: Awaiting::Bytes(1 << 30) }
            } else {
                let bytes = decision.copy(input.bytes);
                decision.effects.push(Effect::Reply(Reply { bytes, tie: None }));
                Progress { consumed: input.bytes.len(), awaits: Awaiting::Delimiter(b'\n') }
            };
            decision.effects.push(Effect::Done(progress));
        }
        self.decided.notify_one();
        Ok(DecidedInputs { by: active, rescued_from: None, decision })
    }
}

/// Starts the tasks of a worker and a session, and returns the latter's client.
async fn connect<H: TestHost>(host: &Arc<H>, limits: SessionLimits) -> (Arc<Shared<H>>, TcpStream) {
    connect_with(host, limits, Pace::default()).await
}

async fn connect_with<H: TestHost>(host: &Arc<H>, limits: SessionLimits, pace: Pace) -> (Arc<Shared<H>>, TcpStream) {
    let (shared, client, _) = begin(host, limits, pace).await;
    (shared, client)
}

/// Returns the task of the session too.
async fn begin<H: TestHost>(
    host: &Arc<H>,
    limits: SessionLimits,
    pace: Pace,
) -> (Arc<Shared<H>>, TcpStream, JoinHandle<()>) {
    let context = Context::new(Arc::clone(host), Arc::<Topics>::default(), limits);
    let shared = Arc::new(Shared::new(context));
    let worker = WorkerSessions::new(Arc::clone(&shared));
    spawn_local(WorkerSessions::serve(Rc::downgrade(&worker), Arc::clone(&shared)));
    spawn_local(WorkerSessions::follow_changes(Rc::downgrade(&worker), Arc::clone(&shared)));
    spawn_local(WorkerSessions::follow_confirmations(Rc::downgrade(&worker), Arc::clone(&shared)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, address) = listener.accept().await.unwrap();
    let session = Session::new(Rc::clone(&worker), stream, Conversation::new(SessionId(1), address), pace);
    worker.admit(SessionId(1), &session);
    let task = spawn_local(session.run());
    (shared, client, task)
}

fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async { timeout(STALLED, test).await.expect("a wake-up was lost") });
}

/// Goal: a swap answers a client that waits and sends nothing more.
#[test]
fn generation_change_wakes_a_session_whose_guest_awaited_more() {
    run(async {
        let host = Arc::new(SwitchedHost {
            active: Mutex::new(GenerationId(2)),
            changes: watch::Sender::new(()),
            decided: Notify::new(),
        });
        let (_, mut client) = connect(&host, SessionLimits::default()).await;

        client.write_all(b"a\n").await.unwrap();
        host.decided.notified().await;
        *host.active.lock().unwrap() = GenerationId(1);
        host.changes.send_replace(());
        let mut reply = [0; 2];
        client.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply, b"a\n");
        client.write_all(b"b\n").await.unwrap();
        client.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply, b"b\n", "the session lives: its line was not taken for one over the limit");
    });
}

/// A node that keeps every line, and whose log is durable up to a position that a test sets. The fallback of a line is `-`.
struct LogHost {
    kept: Mutex<u64>,
    /// Position, and what a keep beyond it is.
    durable: Mutex<(u64, Confirmation)>,
    confirmations: watch::Sender<()>,
    timeout: Duration,
    /// A reply has begun to wait.
    waits: Notify,
}

impl LogHost {
    fn new(timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            kept: Mutex::default(),
            durable: Mutex::new((0, Confirmation::Pending)),
            confirmations: watch::Sender::new(()),
            timeout,
            waits: Notify::new(),
        })
    }

    fn settle(&self, position: u64, beyond: Confirmation) {
        *self.durable.lock().unwrap() = (position, beyond);
        self.confirmations.send_replace(());
    }
}

impl TestHost for LogHost {
    fn split_changes(&self) -> watch::Receiver<()> {
        self.confirmations.subscribe()
    }

    fn on_inputs(&self, inputs: &InputBatch, _: Side, _: Option<Reroute>) -> Result<DecidedInputs, Undecided> {
        let (mut decision, mut keeps) = (Decision::default(), 0);
        for input in inputs.iter() {
            let mut consumed = 0;
            for line in input.bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
                let (bytes, rank, otherwise) = (decision.copy(line), decision.copy(b""), decision.copy(b"-\n"));
                decision.effects.push(Effect::Keep(Keep {
                    key: bytes,
                    rank,
                    form: 1,
                    bytes,
                    fan_out: FanOut::Everyone,
                }));
                decision.effects.push(Effect::Reply(Reply { bytes, tie: Some(Tie { keep: keeps, otherwise }) }));
                (keeps, consumed) = (keeps + 1, consumed + line.len());
            }
            decision.effects.push(Effect::Done(Progress { consumed, awaits: Awaiting::Delimiter(b'\n') }));
        }
        Ok(DecidedInputs { by: GenerationId(1), rescued_from: None, decision })
    }

    fn on_keep(&self, _: KeepRequest<'_>) -> Keeping {
        let mut kept = self.kept.lock().unwrap();
        *kept += 1;
        Keeping { kept: Kept::Applied(Reign(0)), ticket: Ticket { position: *kept, ..Ticket::default() } }
    }

    fn on_flush(&self) -> bool {
        true
    }

    fn waits(&self) -> bool {
        true
    }

    fn on_confirmation(&self, ticket: Ticket) -> Confirmation {
        let (position, beyond) = *self.durable.lock().unwrap();
        let confirmation = if ticket.position <= position { Confirmation::Confirmed } else { beyond };
        if confirmation == Confirmation::Pending {
            self.waits.notify_one();
        }
        confirmation
    }

    fn on_confirmations(&self) -> watch::Receiver<()> {
        self.confirmations.subscribe()
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

async fn expect(client: &mut TcpStream, replies: &str) {
    let mut read = vec![0; replies.len()];
    client.read_exact(&mut read).await.unwrap();
    assert_eq!(String::from_utf8(read).unwrap(), replies);
}

/// Method: the node first says that the keep is pending and then that it failed, so that the fallback proves the wait.
#[test]
fn waiting_reply_is_sent_at_a_change_of_confirmations() {
    run(async {
        let host = LogHost::new(LONG);
        let (_shared, mut client) = connect(&host, SessionLimits::default()).await;
        client.write_all(b"a\nb\n").await.unwrap();
        host.waits.notified().await;
        host.settle(1, Confirmation::Pending);
        expect(&mut client, "a\n").await;
        host.settle(1, Confirmation::Failed);
        expect(&mut client, "-\n").await;
        host.settle(1, Confirmation::Pending);
        client.write_all(b"c\n").await.unwrap();
        host.waits.notified().await;
        host.settle(3, Confirmation::Pending);
        expect(&mut client, "c\n").await;
    });
}

#[test]
fn waiting_reply_times_out_without_a_change_of_confirmations() {
    run(async {
        let host = LogHost::new(Duration::from_millis(1));
        let (shared, mut client) = connect(&host, SessionLimits::default()).await;
        for round in 1..=3 {
            client.write_all(b"a\n").await.unwrap();
            expect(&mut client, "-\n").await;
            assert_eq!(shared.context.unconfirmed.load(Ordering::Relaxed), round);
        }
    });
}

#[test]
fn drain_sends_waiting_replies_before_it_ends_a_session() {
    run(async {
        let host = LogHost::new(LONG);
        let (shared, mut client) = connect(&host, SessionLimits::default()).await;
        client.write_all(b"a\n").await.unwrap();
        host.waits.notified().await;
        shared.draining.cancel();
        // Gives every task a turn: the session closes, and must not end.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        host.settle(1, Confirmation::Pending);
        let mut replies = String::new();
        client.read_to_string(&mut replies).await.unwrap();
        assert_eq!(replies, "a\n");
    });
}

/// Goal: a session that stopped reading because its replies waited reads on when they are sent.
#[test]
fn reading_resumes_when_waiting_replies_make_room() {
    run(async {
        let host = LogHost::new(LONG);
        let limits = SessionLimits { output_kib_max: 1, unfinished_line_s: 3600, ..SessionLimits::default() };
        let (_shared, client) = connect(&host, limits).await;
        let (mut replies, mut input) = client.into_split();
        let lines: String = (0..100_000).map(|number| format!("{number:06}\n")).collect();
        let sent = lines.clone();
        spawn_local(async move { input.write_all(sent.as_bytes()).await.unwrap() });
        let mut read = Vec::new();
        while read.len() < lines.len() {
            // The log becomes durable only once the session has something to wait for.
            host.waits.notified().await;
            let kept = *host.kept.lock().unwrap();
            host.settle(kept, Confirmation::Pending);
            let from = read.len();
            read.resize(kept as usize * 7, 0);
            replies.read_exact(&mut read[from..]).await.unwrap();
        }
        assert_eq!(read, lines.as_bytes());
    });
}

/// Goal: a client over its rate is answered in full and in order, and loses nothing. Method: five times the burst at once; the rate
/// is high enough for the test to be short.
#[test]
fn rate_of_lines_slows_a_client_down_and_loses_nothing() {
    run(async {
        let host = Arc::new(SwitchedHost {
            active: Mutex::new(GenerationId(1)),
            changes: watch::Sender::new(()),
            decided: Notify::new(),
        });
        let per_address = AddressLimits { lines_per_s: 20_000, burst_s: 1, ..AddressLimits::default() };
        let pace = Pace::new(AddressBuckets::new(&per_address, Instant::now()), Instant::now());
        let (shared, client) = connect_with(&host, SessionLimits::default(), pace).await;
        let (mut replies, mut input) = client.into_split();
        let lines: String = (0..30_000).map(|number| format!("{number:06}\n")).collect();
        let sent = lines.clone();
        spawn_local(async move { input.write_all(sent.as_bytes()).await.unwrap() });
        let mut read = vec![0; lines.len()];
        replies.read_exact(&mut read).await.unwrap();
        assert_eq!(read, lines.as_bytes());
        let paused = shared.refusals.paused_by_limit();
        assert!(paused["lines_per_s"] > 0 && paused["kib_per_s"] == 0, "{paused:?}");
    });
}

/// Goal: a drain does not wait for the pause of a session. Method: a hundred lines at one a second.
#[test]
fn rate_of_lines_delays_no_drain() {
    run(async {
        let host = LogHost::new(LONG);
        let per_address = AddressLimits { lines_per_s: 1, burst_s: 1, ..AddressLimits::default() };
        let pace = Pace::new(AddressBuckets::new(&per_address, Instant::now()), Instant::now());
        let (shared, mut client) = connect_with(&host, SessionLimits::default(), pace).await;
        client.write_all(&b"a\n".repeat(100)).await.unwrap();
        host.waits.notified().await;
        assert_eq!(shared.refusals.paused_by_limit()["lines_per_s"], 1);
        shared.draining.cancel();
        host.settle(100, Confirmation::Pending);
        let mut replies = String::new();
        client.read_to_string(&mut replies).await.unwrap();
        assert_eq!(replies, "a\n".repeat(100));
    });
}

/// Begins the session of a client that has sent so many lines of two bytes, at one line a second: after the first read, of 4 KiB at most, it
/// pauses.
async fn begin_paused(lines: usize) -> (Arc<Shared<LogHost>>, Arc<LogHost>, TcpStream, JoinHandle<()>) {
    let host = LogHost::new(LONG);
    let per_address = AddressLimits { lines_per_s: 1, burst_s: 1, ..AddressLimits::default() };
    let pace = Pace::new(AddressBuckets::new(&per_address, Instant::now()), Instant::now());
    let (shared, mut client, task) = begin(&host, SessionLimits::default(), pace).await;
    client.write_all(&b"a\n".repeat(lines)).await.unwrap();
    host.waits.notified().await;
    (shared, host, client, task)
}

/// Goal: the pause of a session ends with its input, and its replies still go out.
#[test]
fn rate_of_lines_pauses_no_session_whose_input_has_ended() {
    run(async {
        let (shared, host, mut client, task) = begin_paused(100).await;
        client.shutdown().await.unwrap();
        host.settle(100, Confirmation::Pending);
        let mut replies = String::new();
        client.read_to_string(&mut replies).await.unwrap();
        assert_eq!(replies, "a\n".repeat(100));
        task.await.unwrap();
        assert_eq!(shared.refusals.paused_by_limit()["lines_per_s"], 1, "the end of the input is no second pause");
    });
}

/// Goal: a session does not outlast a client that is gone, also with lines left to read. Method: a client that closes its socket with unread
/// replies resets the connection.
#[test]
fn rate_of_lines_keeps_no_session_whose_client_is_gone() {
    run(async {
        let (_, host, mut client, task) = begin_paused(4096).await;
        host.settle(2048, Confirmation::Pending);
        expect(&mut client, "a\n").await;
        drop(client);
        task.await.unwrap();
        assert_eq!(*host.kept.lock().unwrap(), 2048, "the rest is not read");
    });
}

/// Time after which a test fails that waits for nothing more. Below every timeout of a session, which would wake it.
const STALLED: Duration = Duration::from_secs(30);
/// Longer than a test runs.
const LONG: Duration = Duration::from_secs(3600);
