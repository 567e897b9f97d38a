//! Configuration of a herd: one file describes every node, and all nodes read the same file.
//!
//! Owns the format, the defaults and the checks. Values come from the file, then the environment, then the command line;
//! the later source wins. An unknown key is an error that suggests the nearest known one. Nothing here opens a socket or
//! starts a thread. No value changes while a node runs: a change takes effect at its restart.
//!
//! Every number is bounded in `check.rs`, at the low end where a node would freeze, at the high end where it would overflow.

mod admin_config;
mod check;
mod classic_config;
mod client_tls_config;
mod defaults;
mod drain_config;
mod environment;
mod error;
mod fit;
mod herd_config;
mod load;
mod metrics_config;
mod node_config;
mod places_config;
#[cfg(test)]
mod random_files;
mod records_config;
mod runtime_config;
mod set_by_operator;
mod suggestion;
mod swap_config;
mod trace_config;
mod wrong_value;

pub use herd_store::Durability;

pub use self::admin_config::AdminConfig;
pub use self::classic_config::ClassicConfig;
pub use self::client_tls_config::ClientTlsConfig;
pub use self::drain_config::DrainConfig;
pub use self::error::ConfigError;
pub use self::fit::LoweredLimit;
pub use self::herd_config::HerdConfig;
pub use self::load::{Sources, load};
pub use self::metrics_config::MetricsConfig;
pub use self::node_config::{NodeConfig, on_this_host};
pub use self::places_config::PlacesConfig;
pub use self::records_config::RecordsConfig;
pub use self::runtime_config::RuntimeConfig;
pub use self::suggestion::{nearest, suggestion};
pub use self::swap_config::{KeyConfig, KeyExpiry, SignatureConfig, SwapConfig};
pub use self::trace_config::TraceConfig;
