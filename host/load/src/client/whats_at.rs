//! Answers to `WHATSAT`.

/// Answer to a `WHATSAT`.
#[derive(Debug, PartialEq, Eq)]
pub enum WhatsAtReply {
    /// The node knows the client.
    Known(WhatsAt),
    /// The command is invalid, as it is for an unknown client. The line, without its end.
    Invalid(String),
}

/// Location of a client, and places near it.
#[derive(Debug, PartialEq, Eq)]
pub struct WhatsAt {
    /// The `AT` line, without its end.
    pub at_line: String,
    /// JSON that followed, unparsed, without the newlines that end it.
    pub json: String,
}

impl WhatsAt {
    /// Returns true if the JSON has the outline of an object. It is not parsed.
    pub fn has_object(&self) -> bool {
        let json = self.json.trim_ascii();
        json.starts_with('{') && json.ends_with('}')
    }
}
