//! Places near a client: the JSON of an answer, as far as it is common to all sources.

use serde::Deserialize;

/// Places near a client. Keys that only some sources have are in [`Answer::json`](crate::Answer::json).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Places {
    /// Outcome.
    pub status: Status,
    /// Places, at most as many as asked for.
    pub results: Vec<Place>,
    /// Source that answered, if it says so.
    pub source: Option<String>,
    /// Attributions that the terms of the source require.
    pub attribution: Vec<String>,
    /// Failure of the first source, if another one answered.
    pub degraded: Option<String>,
    /// Reason of an error.
    pub error_message: Option<String>,
}

/// Outcome of a query for places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Status {
    /// Places were found.
    Ok,
    /// No place was found.
    ZeroResults,
    /// A failure, by the name that the source or the node gives it, such as `OVER_QUERY_LIMIT` or `UNKNOWN_ERROR`. The location is good
    /// all the same.
    Failed(String),
    /// The answer has no status.
    #[default]
    Missing,
}

/// One place.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Name.
    pub name: String,
    /// Coordinates.
    geometry: Geometry,
    /// Kinds, in the words of the source.
    pub types: Vec<String>,
    /// Surroundings, such as a street or a country.
    pub vicinity: Option<String>,
    /// Distance from the client in metres, if the source says it.
    pub distance_m: Option<f64>,
}

impl Place {
    /// Latitude and longitude in degrees, if the source says them.
    #[must_use]
    pub fn location(&self) -> Option<(f64, f64)> {
        self.geometry.location.as_ref().map(|location| (location.lat, location.lng))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Geometry {
    location: Option<Coordinates>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Coordinates {
    lat: f64,
    lng: f64,
}

impl From<String> for Status {
    fn from(text: String) -> Self {
        match text.as_str() {
            "OK" => Self::Ok,
            "ZERO_RESULTS" => Self::ZeroResults,
            _ => Self::Failed(text),
        }
    }
}
