//! Test harness: real herds on loopback, their clients, and a stand-in for the places service.
//!
//! A [`Herd`] is a plan: names, links, free addresses and a configuration file in a directory of its own. It starts
//! [`Process`]es, which run the real `herd` command and are killed on drop, and connects [`Client`]s. It reaches running nodes only
//! by their ports, their command line and their files.
//!
//! ```no_run
//! use herd_tests::Herd;
//!
//! let herd = Herd::of_five();
//! let mut up = herd.up();
//! let mut kiwi = herd.client("Riley");
//! assert!(kiwi.ask("IAMAT kiwi +34-118 0").starts_with("AT Riley "));
//! herd.await_known("kiwi", &herd.names());
//! up.terminate();
//! assert_eq!(up.wait().code(), Some(0));
//! ```
//!
//! Every wait is bounded by [`WAIT_MAX`] and panics with what it waited for when that has passed: in a harness a panic is the
//! failure of the test. Waiting polls a condition and never relies on a fixed sleep.

pub mod bench;
pub mod cases;
mod classic_peer;
mod client;
mod collector;
mod cost;
pub mod decisions;
mod eventually;
mod figures;
mod fill;
mod guests;
mod herd;
mod host;
mod interpose;
mod ledger;
mod library_load;
pub mod load;
mod lone_node;
mod open_load;
mod operator;
pub mod page;
mod places;
mod ports;
mod process;
mod registry;
mod rounds;
mod scratch;
mod sheet;
mod signer;
mod small_host;
mod tmux;
mod tool;

pub use classic_peer::ClassicPeer;
pub use client::Client;
pub use collector::{CollectedSpan, Collector, Reaction};
pub use cost::{COST_WINDOW_S, Cost};
pub use eventually::{WAIT_MAX, eventually};
pub use figures::Figures;
pub use fill::{FILL_S, MILLION, ROOM, fill, fill_at};
pub use guests::{CORE_MODULE, DAMAGED, DEFAULT_GUEST, Fixture, HELLO, RESP, WATCH};
pub use herd::Herd;
pub use host::Host;
pub use interpose::{FileFault, Interposer};
pub use ledger::{Ledger, ReadBack};
pub use library_load::{LibraryLoad, LibraryOutcome};
pub use lone_node::{LoneNode, Rate, SCENARIOS, Scenario};
pub use open_load::{Clients, OpenLoad, RunningOpenLoad};
pub use operator::Operator;
pub use places::{Behaviour, Places, Request};
pub use ports::connect_from;
pub use process::Process;
pub use registry::{DockerRegistry, Lie, RegistryInMemory, RegistryUser};
pub use rounds::Rounds;
pub use scratch::Scratch;
pub use sheet::{Bar, Extent, Reporter, Row, Sheet, run_show};
pub use signer::{Signer, Tampering, copy_guest, tamperings};
pub use small_host::SmallHost;
pub use tmux::Tmux;
pub use tool::tool;
