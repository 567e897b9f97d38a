//! The configuration of places.

use serde::{Deserialize, Serialize};

/// Where places come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlacesConfig {
    /// Upstreams to ask in turn, until one answers. Default `["embedded"]`.
    pub sources: Vec<String>,
}

impl Default for PlacesConfig {
    fn default() -> Self {
        Self { sources: vec!["embedded".into()] }
    }
}
