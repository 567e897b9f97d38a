//! The sources of places: how each is asked, and how its answer becomes the one shape, which is that of a
//! Google Places Nearby Search answer.
//!
//! URLs and secrets belong to the host; here are only paths, bodies and what comes back.

mod embedded;
mod google;
mod google_legacy;

/// A source of places, named as in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Settlements and airports that are built into the host.
    Embedded,
    /// Places API (New), `searchNearby`.
    Google,
    /// Places API, Nearby Search.
    GoogleLegacy,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::Google, Self::GoogleLegacy];

    /// The name, which is that of the upstream too.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Google => "google",
            Self::GoogleLegacy => "google-legacy",
        }
    }

    /// The source of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    /// The request that asks a query of this source.
    pub(crate) fn request(self, query: &Query) -> Request {
        match self {
            Self::Embedded => embedded::request(query),
            Self::Google => google::request(query),
            Self::GoogleLegacy => google_legacy::request(query),
        }
    }

    /// Reads an answer of this source.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words without any of its content.
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

/// Which places are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Query {
    /// Degrees, north positive.
    pub(crate) latitude: f64,
    /// Degrees, east positive.
    pub(crate) longitude: f64,
    /// Metres, 0 to 50,000.
    pub(crate) radius_m: f64,
    /// The most results wanted, 0 to 20.
    pub(crate) bound: u8,
}

/// What to send to an upstream.
pub(crate) struct Request {
    /// Path and query.
    pub(crate) path: String,
    /// The body, if it is a post.
    pub(crate) body: Option<String>,
}

/// What a source said, in the one shape.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Places, perhaps none.
    Places(String),
    /// The source refused, and this is its status: another source may do better.
    Declined {
        /// Such as `OVER_QUERY_LIMIT`.
        status: String,
        /// The answer to pass through if there is no other source.
        json: String,
    },
}

/// One place in the one shape. The distance is left out where the source does not tell it.
struct Place<'a> {
    name: &'a str,
    latitude: f64,
    longitude: f64,
    types: Vec<&'a str>,
    vicinity: &'a str,
    place_id: Option<&'a str>,
    distance_m: Option<f64>,
}

/// Writes an answer with places, one place a line.
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
