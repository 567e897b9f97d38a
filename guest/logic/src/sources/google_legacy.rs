//! The source `google-legacy`: Places API, Nearby Search, whose format is the common one.
//!
//! Passes the text through unchanged, including layout and escapes, except that it cuts results beyond the bound and adds
//! missing lists to a refusal. It must not know other sources. The query bounds the number of results.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::{Answer, Query, Request};

pub(super) fn request(query: &Query) -> Request {
    let Query { latitude, longitude, radius_m, .. } = query;
    Request { path: format!("?location={latitude},{longitude}&radius={radius_m}"), body: None }
}

pub(super) fn read(body: &str, query: &Query) -> Result<Answer, String> {
    let invalid = || "answer is not a Nearby Search answer".to_string();
    let keys: HashMap<String, &RawValue> = serde_json::from_str(body).map_err(|_| invalid())?;
    let text = |key: &str| keys.get(key).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let status = text("status").filter(|status| is_status(status)).ok_or_else(invalid)?;
    let results =
        keys.get("results").and_then(|raw| Some((raw, serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok()?)));
    let json = match results {
        Some((list, results)) => cut(body, list, &results, query.bound.into()),
        None if keys.contains_key("results") || matches!(&*status, "OK" | "ZERO_RESULTS") => return Err(invalid()),
        None => body.into(),
    };
    let lacking: String = LISTS.iter().filter(|(key, _)| !keys.contains_key(*key)).map(|(_, empty)| *empty).collect();
    let json = match json.trim_start().strip_prefix('{') {
        Some(rest) if !lacking.is_empty() => format!("{{{lacking}{rest}"),
        _ => json,
    };
    Ok(match &*status {
        "OK" | "ZERO_RESULTS" => Answer::Places(json),
        _ => Answer::Declined { status, json },
    })
}

/// Returns whether a status has the usual notation. Statuses go into tokens, which are limited, and into messages.
fn is_status(status: &str) -> bool {
    (1..=STATUS_BYTES_MAX).contains(&status.len()) && status.bytes().all(|c| c.is_ascii_uppercase() || c == b'_')
}

/// Removes the results beyond the bound from a body. `list` is the raw array of results in `body`.
fn cut(body: &str, list: &RawValue, results: &[&RawValue], bound: usize) -> String {
    let Some(last) = results.last().filter(|_| results.len() > bound) else { return body.into() };
    let end_of = |raw: &RawValue| offset(body, raw) + raw.get().len();
    let from = match bound.checked_sub(1) {
        Some(index) => end_of(results[index]),
        None => offset(body, list) + "[".len(),
    };
    [&body[..from], &body[end_of(last)..]].concat()
}

/// Returns the offset of a raw value in the body that it borrows from.
fn offset(body: &str, raw: &RawValue) -> usize {
    raw.get().as_ptr().addr() - body.as_ptr().addr()
}

/// Lists that every answer must have, and the text that adds each.
const LISTS: [(&str, &str); 2] = [("html_attributions", r#""html_attributions":[],"#), ("results", r#""results":[],"#)];

/// Three times the length of the longest documented status.
const STATUS_BYTES_MAX: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with_bound(body: &str, bound: u8) -> Result<Answer, String> {
        read(body, &Query { latitude: 0.0, longitude: 0.0, radius_m: 1.0, bound })
    }

    #[test]
    fn results_beyond_the_bound_are_cut_and_the_rest_is_unchanged() {
        let body = "{ \"html_attributions\" : [ \"x\" ],\n \"results\" : [ {\"a\" : \"\\n]\"}, 2 , [3] ],\n \"status\" : \"OK\" }";
        let json = |bound| match read_with_bound(body, bound) {
            Ok(Answer::Places(json)) => json,
            other => panic!("{other:?}"),
        };
        assert_eq!(json(3), body);
        assert_eq!(json(2), body.replace(" , [3]", ""));
        assert_eq!(json(1), body.replace(", 2 , [3]", ""));
        assert_eq!(json(0), body.replace(" {\"a\" : \"\\n]\"}, 2 , [3]", ""));
    }

    #[test]
    fn refusal_passes_through_and_invalid_answers_are_errors() {
        let denied = r#"{"status": "REQUEST_DENIED", "error_message": "no \"key\""}"#;
        let Ok(Answer::Declined { status, json }) = read_with_bound(denied, 5) else { panic!() };
        assert_eq!(status, "REQUEST_DENIED");
        assert_eq!(
            json,
            r#"{"html_attributions":[],"results":[],"status": "REQUEST_DENIED", "error_message": "no \"key\""}"#
        );
        for invalid in [
            "<html>no</html>",
            "[]",
            "{}",
            r#"{"status":"OK"}"#,
            r#"{"status":1,"results":[]}"#,
            r#"{"status":"a b"}"#,
            "",
        ] {
            assert!(read_with_bound(invalid, 5).is_err(), "{invalid}");
        }
    }
}
