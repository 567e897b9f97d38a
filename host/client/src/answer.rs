//! Answer to a query for places.

use crate::at::At;
use crate::places::Places;

/// Location of a client and places near it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Location of the client.
    pub at: At,
    /// Places near it, as the node sent them: an object of JSON, in the format of a Google Places Nearby Search.
    pub json: String,
}

impl Answer {
    /// Parses the places.
    ///
    /// # Errors
    ///
    /// The JSON is not what the format says. The source of the node is at fault.
    pub fn places(&self) -> serde_json::Result<Places> {
        serde_json::from_str(&self.json)
    }
}
