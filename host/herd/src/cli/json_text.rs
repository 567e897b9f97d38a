//! Values of the admin API as text.

use serde_json::Value;

pub(super) fn generation(generation: &Value) -> String {
    format!("{} ({})", text(&generation["id"]), short(&generation["digest"]))
}

pub(super) fn short(digest: &Value) -> String {
    text(digest).chars().take(8).collect()
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToString::to_string)
}
