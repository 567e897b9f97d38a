//! Metrics of a node: what its parts count, in the words of Prometheus and OpenMetrics.
//!
//! Everything is read when a monitoring system asks; nothing is counted here. Names follow the conventions of Prometheus: base units, and
//! `_total` for counters. `docs/metrics.md` lists them all. Knows no HTTP. Bounds: labels are names of the configuration, commands of a
//! guest up to a limit, and reasons from closed lists; never a client.

mod classic;
mod families;
mod node_metrics;
mod process;

pub(crate) use node_metrics::NodeMetrics;
