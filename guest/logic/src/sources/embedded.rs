//! The source `embedded`: settlements and airports in the host, queried as an upstream without leaving the process.
//!
//! Owns its request and answer. It must not know other sources. The query bounds the number of places.

use serde_json::Value;

use super::{Answer, Place, Query, Request, Source, with_places};

pub(super) fn request(query: &Query) -> Request {
    let Query { latitude, longitude, radius_m, bound } = query;
    let path = format!("?latitude={latitude}&longitude={longitude}&radius_m={radius_m}&limit={bound}");
    Request { path, body: None }
}

/// Converts `{"attribution": text, "places": [{name, country, kind, population, latitude, longitude,
/// distance_m}]}`, nearest first.
pub(super) fn read(body: &str, query: &Query) -> Result<Answer, String> {
    let answer: Value = serde_json::from_str(body).map_err(|_| "answer is not JSON")?;
    let places = answer["places"].as_array().ok_or("answer has no places")?;
    let places: Vec<Place<'_>> = places.iter().take(query.bound.into()).filter_map(place).collect();
    let attribution = answer["attribution"].as_str().unwrap_or_default();
    Ok(Answer::Places(with_places(Source::Embedded, attribution, &places)))
}

fn place(place: &Value) -> Option<Place<'_>> {
    let kind = place["kind"].as_str()?;
    let class = if kind == "airport" { "airport" } else { "locality" };
    Some(Place {
        name: place["name"].as_str()?,
        latitude: place["latitude"].as_f64()?,
        longitude: place["longitude"].as_f64()?,
        types: if kind == class { vec![kind] } else { vec![kind, class] },
        vicinity: place["country"].as_str()?,
        place_id: None,
        distance_m: place["distance_m"].as_f64(),
    })
}
