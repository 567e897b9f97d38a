//! Text for values from the admin API.

use serde_json::Value;

/// Describes a generation by its number and the beginning of its digest: `2 (1a2b3c4d)`.
pub(super) fn generation(generation: &Value) -> String {
    format!("{} ({})", text(&generation["id"]), short(&generation["digest"]))
}

/// Returns the beginning of a digest, enough to tell guests apart by eye.
pub(super) fn short(digest: &Value) -> String {
    text(digest).chars().take(8).collect()
}

/// Returns a string without quotes, and any other value as JSON.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToString::to_string)
}
