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

/// Returns the name in `operator mira uid 1000 at edge-3 (as claimed), asked at Riley`, or the user id if the operator has no
/// name. Any other requester is returned as it is.
pub(super) fn brief_who(who: &str) -> String {
    let Some(operator) = who.strip_prefix("operator ") else { return who.into() };
    let operator = operator.split(" at ").next().unwrap_or_default();
    let operator = operator.split(" (certificate ").next().unwrap_or_default();
    operator.split(" uid ").next().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operator_is_named_briefly() {
        for (who, brief) in [
            ("operator mira uid 1000 at edge-3 (as claimed), asked at Riley", "mira"),
            ("operator uid 0 at vm (as claimed)", "uid 0"),
            ("operator mira (certificate 4f5a13a9) at 192.0.2.7, asked at Riley", "mira"),
            ("the node itself", "the node itself"),
            ("--watch a.wasm, operator mira uid 1000 at edge-3", "--watch a.wasm, operator mira uid 1000 at edge-3"),
        ] {
            assert_eq!(brief_who(who), brief);
        }
    }
}
