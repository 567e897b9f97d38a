//! The configuration: one file describes the whole herd, and every node reads the same one.
//!
//! Owns the shape, the defaults and the checks. Values come from the file, then the environment, then the command
//! line; an unknown key is an error that names the nearest known one. Nothing here opens a socket.

mod check;
mod defaults;
mod drain_config;
mod error;
mod herd_config;
mod load;
mod node_config;
mod places_config;
mod runtime_config;
mod suggestion;

pub use self::drain_config::DrainConfig;
pub use self::error::ConfigError;
pub use self::herd_config::HerdConfig;
pub use self::load::{Sources, load};
pub use self::node_config::NodeConfig;
pub use self::places_config::PlacesConfig;
pub use self::runtime_config::RuntimeConfig;
