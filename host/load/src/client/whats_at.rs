//! Answers to `WHATSAT`.

/// What a node answered to a `WHATSAT`.
#[derive(Debug, PartialEq, Eq)]
pub enum WhatsAtReply {
    /// The node knows the client.
    Known(WhatsAt),
    /// The node holds the question invalid, as it does for a client it has not heard of. The line, without its end.
    Invalid(String),
}

/// The place of a client and what is near it.
#[derive(Debug, PartialEq, Eq)]
pub struct WhatsAt {
    /// The `AT` line, without its end.
    pub at_line: String,
    /// The JSON text that followed, without the newlines that end it. Not parsed.
    pub json: String,
}

impl WhatsAt {
    /// Whether the JSON at least has the outline of an object.
    pub fn has_object(&self) -> bool {
        let json = self.json.trim_ascii();
        json.starts_with('{') && json.ends_with('}')
    }
}
