//! A session with its task and its worker, over a socket: wake-ups that the batcher alone does not show.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use herd_model::{DecidedInputs, GenerationId, Reroute, Side, Sides};
use herd_sdk::{Awaiting, Decision, Effect, InputBatch, Progress, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_local;

use super::Session;
use crate::core::context::Context;
use crate::core::conversation::Conversation;
use crate::core::topics::{SessionId, Topics};
use crate::host::Undecided;
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

/// Goal: a swap answers a client that waits and sends nothing more.
#[test]
fn generation_change_wakes_a_session_whose_guest_awaited_more() {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let host = Arc::new(SwitchedHost {
            active: Mutex::new(GenerationId(2)),
            changes: watch::Sender::new(()),
            decided: Notify::new(),
        });
        let context = Context::new(Arc::clone(&host), Arc::<Topics>::default(), SessionLimits::default());
        let shared = Arc::new(Shared::new(context));
        let worker = WorkerSessions::new(Arc::clone(&shared));
        spawn_local(WorkerSessions::serve(Rc::downgrade(&worker), Arc::clone(&shared)));
        spawn_local(WorkerSessions::follow_changes(Rc::downgrade(&worker), shared));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, address) = listener.accept().await.unwrap();
        let session = Session::new(Rc::clone(&worker), stream, Conversation::new(SessionId(1), address));
        worker.admit(SessionId(1), &session);
        spawn_local(session.run());

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
