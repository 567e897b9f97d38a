//! Sources of places: the request to each, and the conversion of its answer to the common format, which is that of a Google
//! Places Nearby Search answer.
//!
//! Owns paths, bodies and answers. It must not know URLs and secrets, which belong to the host. The host bounds the size of
//! an answer.

mod embedded;
mod google;
mod google_legacy;

/// Source of places, named as in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Settlements and airports, embedded in the host.
    Embedded,
    /// Places API (New), `searchNearby`.
    Google,
    /// Places API, Nearby Search.
    GoogleLegacy,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::Google, Self::GoogleLegacy];

    /// Returns the name, which is also that of the upstream.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Google => "google",
            Self::GoogleLegacy => "google-legacy",
        }
    }

    /// Returns the source with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    /// Builds the request for a query.
    pub(crate) fn request(self, query: &Query) -> Request {
        match self {
            Self::Embedded => embedded::request(query),
            Self::Google => google::request(query),
            Self::GoogleLegacy => google_legacy::request(query),
        }
    }

    /// Converts an answer of this source.
    ///
    /// # Errors
    ///
    /// The problem with the answer. The message goes to clients, so it quotes nothing of the content.
    pub(crate) fn read(self, status: u16, body: &[u8], query: &Query) -> Result<Answer, String> {
        let text = || std::str::from_utf8(body).map_err(|_| "answer is not UTF-8".to_string());
        match self {
            Self::Google => google::read(status, text()?, query),
            _ if status != 200 => Err(format!("HTTP {status}")),
            Self::Embedded => embedded::read(text()?, query),
            Self::GoogleLegacy => google_legacy::read(text()?, query),
        }
    }
}

/// Query for places around a location.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Query {
    /// Degrees, north positive.
    pub(crate) latitude: f64,
    /// Degrees, east positive.
    pub(crate) longitude: f64,
    /// Metres, 0 to 50,000.
    pub(crate) radius_m: f64,
    /// Maximum number of results, 0 to 20.
    pub(crate) bound: u8,
}

/// Request to an upstream.
pub(crate) struct Request {
    /// Path and query.
    pub(crate) path: String,
    /// Body of a POST; none for a GET.
    pub(crate) body: Option<String>,
}

/// Answer of a source in the common format.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// JSON with zero or more places.
    Places(String),
    /// The source refused the request. Another source may answer it.
    Declined {
        /// Status, such as `OVER_QUERY_LIMIT`.
        status: String,
        /// JSON to pass through if no other source is left.
        json: String,
    },
}

/// Place in the common format. Identifier and distance are optional, since not every source has them.
struct Place<'a> {
    name: &'a str,
    latitude: f64,
    longitude: f64,
    types: Vec<&'a str>,
    vicinity: &'a str,
    place_id: Option<&'a str>,
    distance_m: Option<f64>,
}

/// Writes an answer in the common format, one place a line.
fn with_places(source: Source, attribution: &str, places: &[Place<'_>]) -> String {
    let text = |text: &str| serde_json::Value::from(text);
    let mut json = String::from("{\"html_attributions\": [],\n \"results\": [");
    for (index, place) in places.iter().enumerate() {
        json.push_str(if index == 0 { "\n  " } else { ",\n  " });
        let types: Vec<String> = place.types.iter().map(|kind| text(kind).to_string()).collect();
        json.push_str(&format!(
            r#"{{"name": {}, "geometry": {{"location": {{"lat": {}, "lng": {}}}}}, "types": [{}], "vicinity": {}"#,
            text(place.name),
            place.latitude,
            place.longitude,
            types.join(", "),
            text(place.vicinity),
        ));
        if let Some(id) = place.place_id {
            json.push_str(&format!(r#", "place_id": {}"#, text(id)));
        }
        if let Some(metres) = place.distance_m {
            json.push_str(&format!(r#", "distance_m": {metres:.0}"#));
        }
        json.push('}');
    }
    let status = if places.is_empty() { "ZERO_RESULTS" } else { "OK" };
    json.push_str(if places.is_empty() { "],\n" } else { "\n ],\n" });
    let attribution = text(attribution);
    json.push_str(&format!(
        " \"status\": \"{status}\",\n \"source\": \"{}\",\n \"attribution\": [{attribution}]}}",
        source.name()
    ));
    json
}
