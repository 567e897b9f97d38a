//! The embedded places as an upstream.
//!
//! Owns the query format and the answer format. Knows nothing about the search itself; see `places`.
//!
//! Bounds: [`RADIUS_M_MAX`] and [`LIMIT_MAX`], which limit a query to 0.1 ms and an answer to 30 KiB.

use std::fmt;
use std::sync::OnceLock;

use herd_model::FetchRequest;
use herd_sdk::{Failure, Method};
use serde::Serialize;
use tracing::{debug, error};

use super::answer::Answer;
use super::lazy::Lazy;
use super::places::{ATTRIBUTION, NearbyPlace, Places};

/// Service that answers from the embedded places, which it unpacks for the first request.
pub(super) struct PlacesService(Lazy<Option<&'static Places>>);

impl PlacesService {
    pub(super) fn new() -> Self {
        Self::loading(built_in)
    }

    fn loading(load: fn() -> Option<&'static Places>) -> Self {
        Self(Lazy::new(load))
    }

    /// Waits until the places are unpacked, or known to be damaged. Cancel safe.
    pub(super) async fn loaded(&self) {
        self.0.value().await;
    }

    /// Answers `?latitude=..&longitude=..&radius_m=..&limit=..` with the places within the radius, nearest first. A
    /// malformed query is answered with status 400 and the reason.
    ///
    /// Cancel safe: unpacking continues for later requests.
    ///
    /// # Errors
    ///
    /// [`Failure::Unreachable`] if the data is damaged, [`Failure::Unknown`] if the path is not UTF-8.
    pub(super) async fn fetch(&self, request: &FetchRequest) -> Result<Answer, Failure> {
        let path = str::from_utf8(&request.path).map_err(|_| Failure::Unknown)?;
        let query = match (request.method, Query::parse(path)) {
            (Method::Post, _) => Err("only a get is answered".to_owned()),
            (Method::Get, query) => query,
        };
        let query = match query {
            Ok(query) => query,
            Err(error) => return json(400, &Refusal { error }),
        };
        let places = self.0.value().await.flatten().ok_or(Failure::Unreachable)?;
        let found = places.nearby(query.latitude, query.longitude, query.radius_m, query.limit);
        json(200, &PlacesAnswer { attribution: ATTRIBUTION, places: found.iter().map(PlaceJson::from).collect() })
    }
}

impl fmt::Debug for PlacesService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlacesService").finish_non_exhaustive()
    }
}

/// A valid query, within the bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Query {
    latitude: f64,
    longitude: f64,
    radius_m: f64,
    limit: usize,
}

impl Query {
    fn parse(path: &str) -> Result<Self, String> {
        let text = path.strip_prefix('?').ok_or("path is not a query")?;
        let mut numbers = [None; Self::KEYS.len()];
        for part in text.split('&') {
            let (key, value) = part.split_once('=').ok_or("query has a part without =")?;
            let index = Self::KEYS.iter().position(|(known, _, _)| *known == key).ok_or("query has an unknown key")?;
            let (key, least, most) = Self::KEYS[index];
            let number = value.parse().ok().filter(|number| (least..=most).contains(number));
            let number: f64 = number.ok_or_else(|| format!("{key} is not a number from {least} to {most}"))?;
            if numbers[index].replace(number).is_some() {
                return Err(format!("{key} is given twice"));
            }
        }
        let number = |index: usize| numbers[index].ok_or_else(|| format!("{} is missing", Self::KEYS[index].0));
        let (latitude, longitude, radius_m, limit) = (number(0)?, number(1)?, number(2)?, number(3)?);
        // In 0..=LIMIT_MAX, so the cast only drops a fraction.
        Ok(Self { latitude, longitude, radius_m, limit: limit as usize })
    }

    /// Keys with the minimum and maximum of their values.
    const KEYS: [(&str, f64, f64); 4] = [
        ("latitude", -90.0, 90.0),
        ("longitude", -180.0, 180.0),
        ("radius_m", 0.0, RADIUS_M_MAX),
        ("limit", 0.0, LIMIT_MAX),
    ];
}

#[derive(Serialize)]
struct PlacesAnswer<'a> {
    attribution: &'a str,
    places: Vec<PlaceJson<'a>>,
}

#[derive(Serialize)]
struct PlaceJson<'a> {
    name: &'a str,
    country: &'a str,
    kind: &'a str,
    population: Option<u32>,
    latitude: f64,
    longitude: f64,
    distance_m: f64,
}

#[derive(Serialize)]
struct Refusal {
    error: String,
}

impl<'a> From<&NearbyPlace<'a>> for PlaceJson<'a> {
    fn from(place: &NearbyPlace<'a>) -> Self {
        Self {
            name: place.name,
            country: place.country,
            kind: place.kind.as_str(),
            population: place.population_approx,
            latitude: place.latitude_degrees,
            longitude: place.longitude_degrees,
            distance_m: place.distance_m,
        }
    }
}

fn json(status: u16, value: &impl Serialize) -> Result<Answer, Failure> {
    // Cannot fail: texts and finite numbers have a JSON form.
    let body = serde_json::to_vec(value).map_err(|_| Failure::Incomplete)?;
    Ok(Answer { status, body })
}

/// Returns the places of the process, if the build has any. All its nodes share them, because they take 16 MB.
fn built_in() -> Option<&'static Places> {
    if !Places::are_embedded() {
        debug!("this build has no places");
        return None;
    }
    static PLACES: OnceLock<Option<Places>> = OnceLock::new();
    let places = PLACES.get_or_init(|| match Places::embedded() {
        Ok(places) => {
            debug!(places = places.len(), "embedded places unpacked");
            Some(places)
        }
        Err(error) => {
            error!(%error, "embedded places are damaged and unavailable; rebuild herd");
            None
        }
    });
    places.as_ref()
}

/// Limit of `radius_m`: ten times the radius of the default logic. The time of a query grows with its square.
const RADIUS_M_MAX: f64 = 500_000.0;

/// Limit of `limit`: five times that of the default logic.
const LIMIT_MAX: f64 = 100.0;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    async fn ask(upstream: &PlacesService, path: &str) -> Result<(u16, Value), Failure> {
        let path = path.as_bytes().to_vec();
        let request = FetchRequest { upstream: b"embedded".to_vec(), method: Method::Get, path, body: vec![] };
        let answer = upstream.fetch(&request).await?;
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap()))
    }

    #[tokio::test]
    async fn places_come_nearest_first_with_their_attribution() {
        let path = "?latitude=34.06893&longitude=-118.445127&radius_m=10000&limit=2";
        let (status, answer) = ask(&PlacesService::new(), path).await.unwrap();
        assert_eq!((status, &answer["attribution"]), (200, &ATTRIBUTION.into()));
        let places = answer["places"].as_array().unwrap();
        assert_eq!(places.len(), 2);
        let keys: Vec<_> = places[0].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["country", "distance_m", "kind", "latitude", "longitude", "name", "population"]);
        assert!(places[0]["distance_m"].as_f64() < places[1]["distance_m"].as_f64(), "{places:?}");
        assert_eq!(places[0]["country"], "United States");
    }

    #[tokio::test]
    async fn places_answer_is_empty_when_none_is_near() {
        for query in [
            "?latitude=-48.9&longitude=-123.4&radius_m=500000&limit=100",
            "?limit=0&radius_m=5e4&latitude=34&longitude=-118",
        ] {
            let (status, answer) = ask(&PlacesService::new(), query).await.unwrap();
            assert_eq!((status, &answer["places"]), (200, &Value::Array(vec![])), "{query}");
        }
    }

    #[tokio::test]
    async fn query_that_is_malformed_is_refused_with_a_reason() {
        let upstream = PlacesService::loading(|| unreachable!("a malformed query loads nothing"));
        for (query, expected) in [
            ("", "path is not a query"),
            ("/x?latitude=1", "path is not a query"),
            ("?", "query has a part without ="),
            ("?latitude=1&longitude=2&radius_m=3", "limit is missing"),
            ("?latitude=1&longitude=2&radius_m=3&limit=4&x=1", "query has an unknown key"),
            ("?latitude=1&latitude=1", "latitude is given twice"),
            ("?latitude=91", "latitude is not a number from -90 to 90"),
            ("?longitude=NaN", "longitude is not a number from -180 to 180"),
            ("?radius_m=inf", "radius_m is not a number from 0 to 500000"),
            ("?radius_m=-1", "radius_m is not a number from 0 to 500000"),
            ("?limit=101", "limit is not a number from 0 to 100"),
            ("?limit=", "limit is not a number from 0 to 100"),
        ] {
            let (status, answer) = ask(&upstream, query).await.unwrap();
            assert_eq!((status, &answer["error"]), (400, &expected.into()), "{query}");
        }
    }

    #[tokio::test]
    async fn load_that_fails_or_panics_leaves_the_places_unreachable() {
        let path = "?latitude=1&longitude=2&radius_m=3&limit=4";
        for upstream in [PlacesService::loading(|| None), PlacesService::loading(|| panic!("as a test"))] {
            for _ in 0..2 {
                assert_eq!(ask(&upstream, path).await, Err(Failure::Unreachable));
            }
        }
    }

    #[tokio::test]
    async fn load_is_shared_by_concurrent_requests() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        use futures_util::FutureExt;

        static LOADS: AtomicUsize = AtomicUsize::new(0);
        let upstream = PlacesService::loading(|| {
            LOADS.fetch_add(1, Ordering::Relaxed);
            built_in()
        });
        let path = "?latitude=1&longitude=2&radius_m=3&limit=4";
        // The first request is dropped after one poll.
        assert_eq!(ask(&upstream, path).now_or_never(), None);
        let answers = futures_util::future::join_all((0..10).map(|_| ask(&upstream, path))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(LOADS.load(Ordering::Relaxed), 1);
    }
}
