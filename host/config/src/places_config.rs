//! Configuration of places.
//!
//! Holds only names; that each is a configured upstream is checked by the upstreams.

use serde::{Deserialize, Serialize};

/// Table `[places]`. None of it changes while a node runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlacesConfig {
    /// Names of upstreams, tried in order until one answers. Default `["embedded"]`, which needs no key and no network. A
    /// later source is asked only after those before it failed, and its answer says so.
    pub sources: Vec<String>,
}

impl Default for PlacesConfig {
    fn default() -> Self {
        Self { sources: vec!["embedded".into()] }
    }
}
