//! Address of a collector.

use std::net::IpAddr;

use reqwest::Url;

/// URL to which spans are posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpUrl(Url);

/// A URL that cannot be that of a collector. The configuration is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtlpUrlError {
    /// The text does not parse, or its scheme is neither http nor https.
    #[error("is not a URL; write it as http://host:4318")]
    Malformed,
    /// The URL contains a user name, a password, a query or a fragment.
    #[error(
        "contains a login or a query; write it as http://host:4318, and have a collector on this host add what another one wants"
    )]
    Login,
}

impl OtlpUrl {
    /// Parses the base URL of a collector, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it: `/v1/traces` is appended, unless it ends with that.
    ///
    /// ```
    /// use herd_otlp::OtlpUrl;
    ///
    /// let url = |text| OtlpUrl::parse(text).unwrap();
    /// assert_eq!(url("http://127.0.0.1:4318"), url("http://127.0.0.1:4318/v1/traces"));
    /// assert!(OtlpUrl::parse("127.0.0.1:4318").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// See [`OtlpUrlError`].
    pub fn parse(text: &str) -> Result<Self, OtlpUrlError> {
        let mut url = Url::parse(text).map_err(|_| OtlpUrlError::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(OtlpUrlError::Malformed);
        }
        let has_login = !url.username().is_empty() || url.password().is_some();
        if has_login || url.query().is_some() || url.fragment().is_some() {
            return Err(OtlpUrlError::Login);
        }
        let base = url.path().trim_end_matches('/');
        if !base.ends_with(PATH) {
            let path = format!("{base}{PATH}");
            url.set_path(&path);
        }
        Ok(Self(url))
    }

    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => host == "localhost",
        }
    }
}

/// Path of traces, which the protocol fixes.
const PATH: &str = "/v1/traces";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn otlp_url_ends_with_the_path_of_traces() {
        for (text, wanted) in [
            ("http://127.0.0.1:4318", Ok("http://127.0.0.1:4318/v1/traces")),
            ("https://otel.example.net/", Ok("https://otel.example.net/v1/traces")),
            ("https://otel.example.net/tenant/", Ok("https://otel.example.net/tenant/v1/traces")),
            ("http://[::1]:4318/v1/traces", Ok("http://[::1]:4318/v1/traces")),
            ("localhost:4318", Err(OtlpUrlError::Malformed)),
            ("grpc://localhost:4317", Err(OtlpUrlError::Malformed)),
            ("", Err(OtlpUrlError::Malformed)),
            ("https://user:word@otel.example.net", Err(OtlpUrlError::Login)),
            ("https://otel.example.net?key=1", Err(OtlpUrlError::Login)),
        ] {
            let parsed = OtlpUrl::parse(text);
            assert_eq!(parsed.as_ref().map(|url| url.0.as_str()).map_err(|error| *error), wanted, "{text}");
        }
        let is_loopback = |text| OtlpUrl::parse(text).unwrap().is_loopback();
        assert!(is_loopback("http://localhost:4318") && is_loopback("http://[::1]:4318"));
        assert!(!is_loopback("http://127.0.0.1.example.org"));
    }
}
