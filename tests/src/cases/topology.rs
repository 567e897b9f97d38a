//! Herds named by cases: nodes and links of `tests/data/herds`. Their addresses are ignored, because tests use free ones.

use std::collections::BTreeMap;
use std::path::Path;

use herd_config::{Sources, load};

use crate::Herd;

/// Name, nodes and links of a herd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    pub(super) name: String,
    links: BTreeMap<String, Vec<String>>,
}

impl Topology {
    /// Reads the herd with this name.
    ///
    /// # Errors
    ///
    /// The file does not exist or is no configuration.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/herds").join(name).with_extension("toml");
        let sources = Sources { file: Some(file), environment: vec![], set: vec![] };
        let config = load(&sources).map_err(|error| error.to_string())?;
        let links = config.nodes.into_iter().map(|(node, config)| (node, config.links)).collect();
        Ok(Self { name: name.into(), links })
    }

    pub(super) fn nodes(&self) -> Vec<String> {
        self.links.keys().cloned().collect()
    }

    /// Plans a herd with these nodes and links.
    pub(super) fn herd(&self) -> Herd {
        let links: Vec<Vec<&str>> = self.links.values().map(|to| to.iter().map(String::as_str).collect()).collect();
        let nodes: Vec<(&str, &[&str])> =
            self.links.keys().map(String::as_str).zip(links.iter().map(|to| &**to)).collect();
        Herd::of(&nodes).named(&self.name)
    }
}
