//! Resolution of an upstream's configuration: fills in presets and defaults, validates every field, reads the secret.
//!
//! Owns every rule on configured values. Opens no connection. Bounds: one minute, 8 MiB and 4096 requests are the largest
//! limits that a table may set.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::base_url::BaseUrl;
use super::config::{EMBEDDED, IN_FLIGHT_MAX, PRESETS, TIMEOUT_MS, UpstreamConfig, UpstreamsConfig};
use super::error::UpstreamConfigError;
use super::secret::{Secret, SecretError, SecretSource};

/// A valid configuration of one upstream.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) limits: UpstreamLimits,
    pub(super) service: ServicePlan,
}

/// Limits of an upstream of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UpstreamLimits {
    /// Time for a whole request.
    pub(super) timeout: Duration,
    /// Size of an answer.
    pub(super) body_bytes_max: usize,
    /// Number of concurrent requests.
    pub(super) in_flight_max: usize,
}

/// Kind of service to create.
#[derive(Debug)]
pub(super) enum ServicePlan {
    Places,
    Http(Box<HttpPlan>),
    /// Unusable for the given reason, and not needed by the node.
    Unavailable {
        url: String,
        problem: String,
    },
}

/// Configuration of an HTTP service.
#[derive(Debug)]
pub(super) struct HttpPlan {
    pub(super) base: BaseUrl,
    pub(super) auth: Option<Auth>,
    /// Static headers, without the one of the secret.
    pub(super) headers: HeaderMap,
    pub(super) connect_timeout: Duration,
}

/// A secret and its placement in a request.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) secret: Secret,
    pub(super) placement: SecretPlacement,
}

/// Placement of a secret in a request.
#[derive(Clone, Debug)]
pub(super) enum SecretPlacement {
    /// As the value of this query parameter.
    Query(String),
    /// As the value of this header.
    Header(HeaderName),
}

/// Returns the names of all upstreams: those with a table, those in use and the presets.
pub(super) fn names<'a>(config: &'a UpstreamsConfig, used: &'a [String]) -> BTreeSet<&'a str> {
    config.0.keys().chain(used).map(String::as_str).chain(PRESETS).collect()
}

impl Resolved {
    /// Resolves one upstream. Returns `None` for a preset that is not in use, has no table and whose secret is missing:
    /// such a preset is treated as if it did not exist.
    ///
    /// # Errors
    ///
    /// See [`UpstreamConfigError`].
    pub(super) fn new(
        name: &str,
        config: &UpstreamsConfig,
        used: &[String],
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Self>, UpstreamConfigError> {
        let table = config.0.get(name);
        let merged = match (UpstreamConfig::preset(name), table) {
            (Some(preset), Some(table)) => preset.overridden_by(table),
            (Some(preset), None) => preset,
            (None, Some(table)) => table.clone(),
            (None, None) => {
                let known = names(config, &[]).into_iter().collect::<Vec<_>>().join(", ");
                return Err(UpstreamConfigError::UnknownName { upstream: name.into(), known });
            }
        };
        let checks = Checks { upstream: name, merged: &merged };
        let limits = checks.limits()?;
        if name == EMBEDDED {
            checks.no_http_fields()?;
            return Ok(Some(Self { limits, service: ServicePlan::Places }));
        }
        let base = checks.base()?;
        let connect_timeout = checks.connect_timeout()?;
        let headers = checks.headers()?;
        let auth = match checks.auth(environment)? {
            Ok(auth) => auth,
            Err(problem) if used.iter().any(|used| used == name) => {
                return Err(UpstreamConfigError::Secret { upstream: name.into(), problem });
            }
            // The operator did not mention the preset, so a missing key deserves no warning.
            Err(_) if table.is_none() => return Ok(None),
            Err(problem) => {
                let cause = problem.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                let problem = format!("{problem}{cause}");
                let service = ServicePlan::Unavailable { url: base.as_str().into(), problem };
                return Ok(Some(Self { limits, service }));
            }
        };
        let plan = HttpPlan { base, auth, headers, connect_timeout };
        Ok(Some(Self { limits, service: ServicePlan::Http(Box::new(plan)) }))
    }
}

/// Validation of one table, one method per topic.
struct Checks<'a> {
    upstream: &'a str,
    merged: &'a UpstreamConfig,
}

impl Checks<'_> {
    fn limits(&self) -> Result<UpstreamLimits, UpstreamConfigError> {
        let Self { merged, .. } = self;
        let bytes = 1024 * self.number("body_kib_max", merged.body_kib_max.unwrap_or(1024), 8192)?;
        Ok(UpstreamLimits {
            timeout: self.milliseconds("timeout_ms", merged.timeout_ms.unwrap_or(TIMEOUT_MS))?,
            body_bytes_max: usize::try_from(bytes).unwrap_or(usize::MAX),
            in_flight_max: self.number("in_flight_max", merged.in_flight_max.unwrap_or(IN_FLIGHT_MAX), 4096)? as usize,
        })
    }

    fn connect_timeout(&self) -> Result<Duration, UpstreamConfigError> {
        self.milliseconds("connect_timeout_ms", self.merged.connect_timeout_ms.unwrap_or(1000))
    }

    /// Validates a duration. The maximum of one minute is longer than any client should wait.
    fn milliseconds(&self, field: &'static str, found: u64) -> Result<Duration, UpstreamConfigError> {
        Ok(Duration::from_millis(self.number(field, found, 60_000)?))
    }

    fn number(&self, field: &'static str, found: u64, max: u64) -> Result<u64, UpstreamConfigError> {
        match (1..=max).contains(&found) {
            true => Ok(found),
            false => Err(UpstreamConfigError::OutOfBounds { upstream: self.upstream.into(), field, found, max }),
        }
    }

    /// Rejects the fields that only apply to HTTP services.
    fn no_http_fields(&self) -> Result<(), UpstreamConfigError> {
        let UpstreamConfig { url, secret, query, header, headers, connect_timeout_ms, .. } = self.merged;
        let present = [
            ("url", url.is_some()),
            ("secret", secret.is_some()),
            ("query", query.is_some()),
            ("header", header.is_some()),
            ("headers", !headers.is_empty()),
            ("connect_timeout_ms", connect_timeout_ms.is_some()),
        ];
        match present.into_iter().find(|(_, present)| *present) {
            Some((field, _)) => Err(UpstreamConfigError::EmbeddedField { upstream: self.upstream.into(), field }),
            None => Ok(()),
        }
    }

    fn base(&self) -> Result<BaseUrl, UpstreamConfigError> {
        let upstream = || self.upstream.to_owned();
        let url = self.merged.url.as_deref().ok_or_else(|| UpstreamConfigError::NoUrl { upstream: upstream() })?;
        BaseUrl::parse(url).map_err(|problem| UpstreamConfigError::Url { upstream: upstream(), problem })
    }

    fn headers(&self) -> Result<HeaderMap, UpstreamConfigError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.merged.headers {
            let header = self.header_name(name)?;
            let value = HeaderValue::from_str(value).map_err(|_| self.malformed(name))?;
            if RESERVED_HEADERS.contains(&header.as_str()) {
                let (upstream, name) = (self.upstream.into(), name.clone());
                return Err(UpstreamConfigError::ReservedHeader { upstream, name });
            }
            headers.insert(header, value);
        }
        Ok(headers)
    }

    /// Reads the secret. The outer error is one of the table; the inner one is that of the source, which only matters
    /// for an upstream in use.
    fn auth(
        &self,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Result<Option<Auth>, SecretError>, UpstreamConfigError> {
        let UpstreamConfig { secret, query, header, .. } = self.merged;
        if *secret == Some(SecretSource::Literal) {
            return Err(UpstreamConfigError::SecretWrittenOut { upstream: self.upstream.into() });
        }
        let (source, placement) = match (secret, query, header) {
            (None, None, None) => return Ok(Ok(None)),
            (Some(_), Some(name), None) if name.is_empty() => return Err(self.malformed(name)),
            (Some(source), Some(name), None) => (source, SecretPlacement::Query(name.clone())),
            (Some(source), None, Some(name)) => (source, SecretPlacement::Header(self.header_name(name)?)),
            _ => return Err(UpstreamConfigError::SecretPlacement { upstream: self.upstream.into() }),
        };
        Ok(source.read(environment).map(|secret| Some(Auth { secret, placement })))
    }

    fn header_name(&self, name: &str) -> Result<HeaderName, UpstreamConfigError> {
        name.parse().map_err(|_| self.malformed(name))
    }

    fn malformed(&self, name: &str) -> UpstreamConfigError {
        UpstreamConfigError::Malformed { upstream: self.upstream.into(), name: name.into() }
    }
}

/// Headers that a table may not set. The first three carry secrets, which must not be in a configuration; the HTTP client
/// sets the others.
const RESERVED_HEADERS: [&str; 8] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "connection",
    "content-length",
    "host",
    "te",
    "transfer-encoding",
];

#[cfg(test)]
mod tests;
