//! The node as the source of spans, in the terms of the semantic conventions of OpenTelemetry.

/// Node that sends spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Name of the herd: `service.namespace`.
    pub herd: String,
    /// Name of the node: `service.instance.id`.
    pub node: String,
    /// Version of the program: `service.version`.
    pub version: String,
}

impl Resource {
    /// Returns the attributes. `service.name` is the same for all nodes.
    pub(crate) fn attributes(&self) -> [(&'static str, &str); 4] {
        [
            ("service.name", "herd"),
            ("service.namespace", &self.herd),
            ("service.instance.id", &self.node),
            ("service.version", &self.version),
        ]
    }
}
