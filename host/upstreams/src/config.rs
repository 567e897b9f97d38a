//! The `[upstreams]` tables of the configuration, as they are written. What they amount to is in `resolve`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::secret::SecretSource;

/// The `[upstreams]` part of the configuration: a table `[upstreams.NAME]` per upstream. None of it changes while a
/// node runs.
///
/// Three names are there without a table, and a table for one of them overrides it field by field:
///
/// | name | what it is | secret |
/// | --- | --- | --- |
/// | `embedded` | the places inside the binary; no field but `timeout_ms` (10,000), `body_kib_max` and `in_flight_max` applies | none |
/// | `google` | Places API (New), `https://places.googleapis.com` | `HERD_GOOGLE_KEY`, in header `X-Goog-Api-Key` |
/// | `google-legacy` | Places API, Nearby Search, with its full path | `HERD_GOOGLE_KEY`, in query parameter `key` |
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UpstreamsConfig(
    /// The tables by name.
    pub BTreeMap<String, UpstreamConfig>,
);

/// One table `[upstreams.NAME]`. What it leaves out is as in the preset of that name, or else has the default given
/// here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Base URL, without a query; a guest's path is put behind it and cannot leave it. Must be https unless the host
    /// is a loopback address or `localhost`. No default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where the secret is read from at start: `{ env = "NAME" }`, `{ file = "PATH" }` or `{ credential = "NAME" }`
    /// (of systemd, a file in `$CREDENTIALS_DIRECTORY`). White space around it is dropped. Never the secret itself.
    /// Default: none is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSource>,
    /// The query parameter that takes the secret. Either this or `header` is needed with a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The header whose value is the secret. Where a scheme is needed, as in `Bearer TOKEN`, it is part of the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Headers of every request. Default: none. Those of a preset stay unless named here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Milliseconds for a connection with its TLS handshake, 1 to 60,000. Default 1000. Raised, an upstream that is
    /// down is noticed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// Milliseconds for a request from start to end, retry included, 1 to 60,000. Default 2000. Raised, clients wait
    /// longer for the next source, and more requests are in flight when the upstream is slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// KiB of an answer's body, 1 to 8192. Default 1024. Raised, memory grows by up to this times `in_flight_max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_kib_max: Option<u64>,
    /// Requests at once, 1 to 4096; one more is refused. Default 64. Raised, connections, open files and memory grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<u64>,
}

impl UpstreamConfig {
    /// Returns what is there without a table of that name.
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

    /// Returns this preset with what a table says instead. Saying where the secret goes replaces both ways.
    pub(super) fn overridden_by(mut self, table: &Self) -> Self {
        let table = table.clone();
        let (query, header) = match (&table.query, &table.header) {
            (None, None) => (self.query, self.header),
            _ => (table.query, table.header),
        };
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

/// The upstream inside the process.
pub(super) const EMBEDDED: &str = "embedded";

/// Every name that needs no table.
pub(super) const PRESETS: [&str; 3] = [EMBEDDED, "google", "google-legacy"];

/// The first request waits for the places to be unpacked, which takes a debug build on a busy machine seconds.
const EMBEDDED_TIMEOUT_MS: u64 = 10_000;

/// A request is billed by the dearest field of its mask. These stay in Nearby Search Pro; ratings, prices, opening
/// hours and contacts would move it to Enterprise.
const GOOGLE_FIELD_MASK: &str = "places.id,places.displayName,places.location,places.types,places.primaryType,\
                                 places.formattedAddress,places.businessStatus,places.googleMapsUri";
