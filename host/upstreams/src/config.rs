//! The `[upstreams]` tables of the configuration, as written, and the presets.
//!
//! Knows nothing about validity; `resolve` validates the tables and fills in presets and defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::secret::SecretSource;

/// The `[upstreams]` part of the configuration: a table `[upstreams.NAME]` per upstream. No field may change while a node
/// runs.
///
/// Three names are presets that need no table. A table of such a name overrides the preset field by field:
///
/// | name | upstream | secret |
/// | --- | --- | --- |
/// | `embedded` | the places embedded in the binary; no field but `timeout_ms` (10,000), `body_kib_max` and `in_flight_max` apply | none |
/// | `google` | Places API (New), `https://places.googleapis.com` | `HERD_GOOGLE_KEY`, in header `X-Goog-Api-Key` |
/// | `google-legacy` | Places API, Nearby Search, with its full path | `HERD_GOOGLE_KEY`, in query parameter `key` |
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UpstreamsConfig(
    /// Tables by name.
    pub BTreeMap<String, UpstreamConfig>,
);

impl UpstreamsConfig {
    /// Returns how long a request to an upstream may take. Zero for the embedded places, which answer at once, and for a name
    /// without a table that is no preset.
    #[must_use]
    pub fn http_timeout(&self, name: &str) -> Duration {
        if name == EMBEDDED || !(self.0.contains_key(name) || PRESETS.contains(&name)) {
            return Duration::ZERO;
        }
        Duration::from_millis(self.0.get(name).and_then(|table| table.timeout_ms).unwrap_or(TIMEOUT_MS))
    }

    /// Returns how many requests to an upstream may be under way, each with a socket. Zero for the embedded places.
    #[must_use]
    pub fn http_in_flight_max(&self, name: &str) -> u64 {
        if name == EMBEDDED {
            return 0;
        }
        self.0.get(name).and_then(|table| table.in_flight_max).unwrap_or(IN_FLIGHT_MAX)
    }
}

/// One table `[upstreams.NAME]`. A field that it omits has the value of the preset of that name, or else the default given
/// here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Base URL, without a query. A guest's path is appended to it and cannot leave it. Must be https unless the host
    /// is a loopback address or `localhost`. No default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Source of the secret, read at start: `{ env = "NAME" }`, `{ file = "PATH" }` or `{ credential = "NAME" }` (of
    /// systemd, a file in `$CREDENTIALS_DIRECTORY`). White space around the secret is dropped. Never the secret itself.
    /// Default: no secret is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSource>,
    /// Query parameter that carries the secret. A secret needs either this or `header`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Header whose value is the secret. A scheme, as in `Bearer TOKEN`, is part of the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Static headers of every request. Default: none. Headers of a preset stay unless named here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Time limit for a connection with its TLS handshake, in milliseconds, 1 to 60,000. Default 1000. Raised, it takes
    /// longer to notice that an upstream is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// Time limit for a request with its retry, in milliseconds, 1 to 60,000. Default 2000. Raised, clients wait longer
    /// for the next source, and more requests are in flight when the upstream is slow. All sources of one reply have 8
    /// seconds together, so those before the last must take less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Limit of an answer's body in KiB, 1 to 8192. Default 1024. Raised, memory grows by up to this times
    /// `in_flight_max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_kib_max: Option<u64>,
    /// Limit of concurrent requests, 1 to 4096; one more is refused. Default 64. Raised, connections, open files and
    /// memory grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<u64>,
}

impl UpstreamConfig {
    /// Returns the preset of a name.
    pub(super) fn preset(name: &str) -> Option<Self> {
        let google_key = || Some(SecretSource::Env("HERD_GOOGLE_KEY".into()));
        match name {
            EMBEDDED => Some(Self { timeout_ms: Some(EMBEDDED_TIMEOUT_MS), ..Self::default() }),
            "google" => Some(Self {
                url: Some("https://places.googleapis.com".into()),
                secret: google_key(),
                header: Some("X-Goog-Api-Key".into()),
                headers: [("Content-Type", "application/json"), ("X-Goog-FieldMask", GOOGLE_FIELD_MASK)]
                    .map(|(name, value)| (name.into(), value.into()))
                    .into(),
                ..Self::default()
            }),
            "google-legacy" => Some(Self {
                url: Some("https://maps.googleapis.com/maps/api/place/nearbysearch/json".into()),
                secret: google_key(),
                query: Some("key".into()),
                ..Self::default()
            }),
            _ => None,
        }
    }

    /// Overrides this preset by a table, field by field. `query` and `header` are one field here: naming either replaces
    /// both, because a secret has one placement.
    pub(super) fn overridden_by(mut self, table: &Self) -> Self {
        let table = table.clone();
        let (query, header) = match (&table.query, &table.header) {
            (None, None) => (self.query, self.header),
            _ => (table.query, table.header),
        };
        // Header names are case-insensitive, map keys are not.
        self.headers.retain(|name, _| !table.headers.keys().any(|other| other.eq_ignore_ascii_case(name)));
        self.headers.extend(table.headers);
        Self {
            url: table.url.or(self.url),
            secret: table.secret.or(self.secret),
            query,
            header,
            headers: self.headers,
            connect_timeout_ms: table.connect_timeout_ms.or(self.connect_timeout_ms),
            timeout_ms: table.timeout_ms.or(self.timeout_ms),
            body_kib_max: table.body_kib_max.or(self.body_kib_max),
            in_flight_max: table.in_flight_max.or(self.in_flight_max),
        }
    }
}

/// Time limit of a request unless a table says otherwise.
pub(super) const TIMEOUT_MS: u64 = 2000;

/// Limit of concurrent requests unless a table says otherwise.
pub(super) const IN_FLIGHT_MAX: u64 = 64;

/// Name of the upstream that answers from the embedded places.
pub(super) const EMBEDDED: &str = "embedded";

/// Names of the upstreams that need no table.
pub const PRESETS: [&str; 3] = [EMBEDDED, "google", "google-legacy"];

/// The first request waits until the places are unpacked, which takes seconds in a debug build on a busy machine.
const EMBEDDED_TIMEOUT_MS: u64 = 10_000;

/// Fields of an answer of Google. A request is billed by the most expensive field of its mask: these are in Nearby Search
/// Pro; ratings, prices, opening hours and contacts would be in Enterprise.
const GOOGLE_FIELD_MASK: &str = "places.id,places.displayName,places.location,places.types,places.primaryType,\
                                 places.formattedAddress,places.businessStatus,places.googleMapsUri";
