//! The source `google`: Places API (New), `places:searchNearby`. The host adds the key and the field mask.
//!
//! Owns its request and answer. It must not know other sources. The query bounds the number of places.

use serde_json::{Value, json};

use super::{Answer, Place, Query, Request, Source, with_places};

pub(super) fn request(query: &Query) -> Request {
    let body = json!({
        "locationRestriction": {"circle": {
            "center": {"latitude": query.latitude, "longitude": query.longitude},
            "radius": query.radius_m,
        }},
        // The API rejects 0; `read` cuts the answer to the bound.
        "maxResultCount": query.bound.max(1),
        "rankPreference": "DISTANCE",
    });
    Request { path: "/v1/places:searchNearby".into(), body: Some(body.to_string()) }
}

/// Converts `{"places": [...]}`, where the key is absent without results, or `{"error": {...}}`.
pub(super) fn read(status: u16, body: &str, query: &Query) -> Result<Answer, String> {
    let answer: Value = match serde_json::from_str(body) {
        Ok(answer @ Value::Object(_)) => answer,
        _ if status != 200 => return Err(format!("HTTP {status}")),
        _ => return Err("answer is not a JSON object".into()),
    };
    if let Some(declined) = answer["error"]["status"].as_str().and_then(legacy_status) {
        let json = without_places(declined, answer["error"]["message"].as_str());
        return Ok(Answer::Declined { status: declined.into(), json });
    }
    if status != 200 {
        return Err(format!("HTTP {status}"));
    }
    let places = match &answer["places"] {
        Value::Null => &[],
        Value::Array(places) => places.as_slice(),
        _ => return Err("answer has no list of places".into()),
    };
    let places: Vec<Place<'_>> = places.iter().take(query.bound.into()).filter_map(place).collect();
    Ok(Answer::Places(with_places(Source::Google, "Google Maps", &places)))
}

/// Writes a refusal in the format of the older API.
fn without_places(status: &str, message: Option<&str>) -> String {
    let message = message.map(|text| format!(r#","error_message":{}"#, Value::from(text))).unwrap_or_default();
    format!(r#"{{"html_attributions":[],"results":[],"status":"{status}"{message},"source":"google"}}"#)
}

fn place(place: &Value) -> Option<Place<'_>> {
    Some(Place {
        name: place["displayName"]["text"].as_str()?,
        latitude: place["location"]["latitude"].as_f64()?,
        longitude: place["location"]["longitude"].as_f64()?,
        types: place["types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        vicinity: place["formattedAddress"].as_str().unwrap_or_default(),
        place_id: place["id"].as_str(),
        distance_m: None,
    })
}

/// Returns the status of the older API for the same refusal, or none for a failure.
fn legacy_status(status: &str) -> Option<&'static str> {
    match status {
        "INVALID_ARGUMENT" => Some("INVALID_REQUEST"),
        "PERMISSION_DENIED" | "UNAUTHENTICATED" => Some("REQUEST_DENIED"),
        "RESOURCE_EXHAUSTED" => Some("OVER_QUERY_LIMIT"),
        _ => None,
    }
}
