//! Client library of a herd: reports, queries and subscriptions over the line protocol, with fail-over between nodes.
//!
//! A [`HerdClient`] knows several nodes and uses one of them. Its calls share one connection to that node and are pipelined. When the node is
//! lost, the calls that it had not answered are made again at the next one; that is safe, because a report that arrives twice counts once.
//! A [`Watch`] follows clients over a connection of its own, and subscribes again when that is lost.
//!
//! Knows nothing of how a node is built. Bounds: calls that wait for a node ([`Options::queue_max`]), calls under way on a
//! connection (256), attempts and time of a call, bytes of an answer.
//!
//! ```
//! use herd_client::{HerdClient, Options, Report};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # let node = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let riley = node.local_addr()?.to_string();
//! # let dead = "127.0.0.1:9".to_owned();
//! # let node = tokio::spawn(async move {
//! #     let (mut session, _) = node.accept().await?;
//! #     session.read(&mut [0; 100]).await?;
//! #     session.write_all(b"AT Riley +0.500000000 kiwi +34.06893-118.445127 1479413884.392014450\n").await?;
//! #     session.read(&mut [0; 100]).await
//! # });
//! // Two nodes, of which the first is down.
//! let herd = HerdClient::new(&[dead, riley], Options::default())?;
//! let report = Report::at("kiwi", 34.06893, -118.445127, 1_479_413_884_392_014_450)?;
//! let at = herd.report(&report).await?;
//! assert_eq!((at.node.as_str(), at.skew_ns), ("Riley", 500_000_000));
//! # drop(herd);
//! # node.await??;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod at;
mod call;
mod connection;
mod error;
mod fail_over;
#[cfg(test)]
mod fake;
mod herd_client;
mod input;
mod node;
mod options;
mod places;
mod query;
mod report;
pub mod stream;
mod tls;
mod watch;

pub use self::answer::Answer;
pub use self::at::At;
pub use self::call::Retry;
pub use self::error::{CallError, InvalidArgument, NodeError, NodeFailure, Number};
pub use self::herd_client::HerdClient;
pub use self::options::Options;
pub use self::places::{Place, Places, Status};
pub use self::report::Report;
pub use self::tls::{ClientTls, ClientTlsError};
pub use self::watch::Watch;

#[cfg(test)]
mod tests;
