//! Stateless node of the balancer model, for `tests/bench/compare`: the default logic, linked in natively, over records in a
//! redis-server that all nodes share.
//!
//!     app-node NAME LISTEN REDIS          app-node Riley 127.0.0.1:15415 127.0.0.1:6379
//!
//! Built to be as fast as the model permits: one thread, because a balancer has a node per processor; one redis connection for all
//! sessions, with their commands written together; one script call for all lines of one read; one write for its replies. It
//! sends no upstream requests: a `WHATSAT` gets its fallback reply, the `AT` line without places.
//!
//! The process exits when redis is gone, so that its supervisor restarts it.
//!
//! Bounds: the length of a line, one read per session in flight, and the backlog of the listener.

mod resp;
mod session;
mod store;

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use herd_logic::Herd;
use herd_sdk::{Logic, Settings};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::LocalSet;

use store::Store;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, listen, redis] = &arguments[..] else { bail!("usage: app-node NAME LISTEN REDIS") };
    let (listen, redis) = (listen.parse().context("LISTEN")?, redis.parse().context("REDIS")?);
    let logic = Herd::configure(&Settings { node: name.clone(), table: vec![] })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(name, listen, redis, Rc::new(logic)))
}

async fn serve(name: &str, listen: SocketAddr, redis: SocketAddr, logic: Rc<Herd>) -> Result<()> {
    let redis = TcpStream::connect(redis).await.context("redis")?;
    let (store, connection) = Store::over(redis).await?;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    let listener = socket.listen(BACKLOG)?;
    println!("{name} ready");
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await?;
            // An error of a session concerns its client only, who sees the connection end.
            tokio::task::spawn_local(session::serve(stream, Rc::clone(&logic), store.clone()));
        }
    };
    tokio::select! {
        accepted = accept => accepted,
        ended = connection => ended.context("redis is gone"),
    }
}

/// Connections that may wait to be accepted: enough for all clients of a benchmark at once.
const BACKLOG: u32 = 4096;
