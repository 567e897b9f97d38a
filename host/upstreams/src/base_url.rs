//! The base URL of an upstream, to which a guest's path is appended.
//!
//! Owns the rule that no path leads out of the base URL. Knows nothing about secrets and requests.
//!
//! Bounds: a path has at most [`PATH_BYTES_MAX`] bytes.

use std::net::IpAddr;

use reqwest::Url;

/// A URL to which guests append paths and that these paths cannot leave.
#[derive(Clone, Debug)]
pub(super) struct BaseUrl(Url);

/// A URL that cannot be the base of an upstream. The configuration is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// The text does not parse, or its scheme is neither http nor https.
    #[error("not a URL: write it as https://host/path")]
    Malformed,

    /// Requests would cross a network unencrypted.
    #[error("not https: only 127.0.0.1, ::1 and localhost may be reached over http")]
    Plain,

    /// The URL contains a user name or password.
    #[error("it contains a user name or password: store that elsewhere and name the place in `secret`")]
    Login,

    /// The URL contains a query or fragment, to which a path cannot be appended.
    #[error("it contains a query or fragment: the guest adds the query, `query` names the parameter for the secret")]
    Query,
}

impl BaseUrl {
    /// Parses and validates a base URL.
    ///
    /// # Errors
    ///
    /// See [`BaseUrlError`].
    pub(super) fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let url = Url::parse(text).map_err(|_| BaseUrlError::Malformed)?;
        let base = Self(url);
        match base.0.scheme() {
            "https" => {}
            "http" if base.is_loopback() => {}
            "http" => return Err(BaseUrlError::Plain),
            _ => return Err(BaseUrlError::Malformed),
        }
        if !base.0.username().is_empty() || base.0.password().is_some() {
            return Err(BaseUrlError::Login);
        }
        if base.0.query().is_some() || base.0.fragment().is_some() {
            return Err(BaseUrlError::Query);
        }
        Ok(base)
    }

    /// Appends a guest's path and query to this URL. Returns `None` if it is malformed or leads elsewhere: to another
    /// scheme, host or port, or out of the path of this URL.
    pub(super) fn join(&self, path: &[u8]) -> Option<Url> {
        if path.len() > PATH_BYTES_MAX {
            return None;
        }
        let path = str::from_utf8(path).ok()?;
        let starts_well = path.is_empty() || path.starts_with(['/', '?']);
        // Rejected here, because the URL parser drops tabs and newlines silently, and a fragment is never sent.
        if !starts_well || path.contains(|letter: char| letter.is_control() || letter == '#') {
            return None;
        }
        let base = match path.starts_with('/') {
            true => self.as_str().trim_end_matches('/'),
            false => self.as_str(),
        };
        let url = Url::parse(&format!("{base}{path}")).ok()?;
        // Checked on the parsed URL and not on the text: the parser resolves `..`, `%2e`, `\` and `@` in ways that a
        // check of the text would have to repeat.
        let same_origin = url.scheme() == self.0.scheme()
            && url.host_str() == self.0.host_str()
            && url.port() == self.0.port()
            && url.username().is_empty()
            && url.password().is_none();
        let rest = url.path().strip_prefix(self.0.path().trim_end_matches('/'))?;
        (same_origin && (rest.is_empty() || rest.starts_with('/'))).then_some(url)
    }

    /// Tests whether requests stay on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => host == "localhost",
        }
    }

    /// Tests whether requests are encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Limit of a path: common servers accept a request line of this length.
const PATH_BYTES_MAX: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base_url_is_https_unless_it_is_loopback() {
        for (text, expected) in [
            ("https://example.org", Ok(())),
            ("HTTPS://example.org:8443/a/b", Ok(())),
            ("http://127.0.0.1:80", Ok(())),
            ("http://127.9.9.9/x", Ok(())),
            ("http://[::1]:1234", Ok(())),
            ("http://LOCALHOST/", Ok(())),
            ("http://example.org", Err(BaseUrlError::Plain)),
            ("http://10.0.0.1", Err(BaseUrlError::Plain)),
            ("http://localhost.example.org", Err(BaseUrlError::Plain)),
            ("http://127.0.0.1.example.org", Err(BaseUrlError::Plain)),
            ("http://128.0.0.1", Err(BaseUrlError::Plain)),
            ("http://[::2]", Err(BaseUrlError::Plain)),
            ("http://127.0.0.1@example.org", Err(BaseUrlError::Plain)),
            ("https://user:word@example.org", Err(BaseUrlError::Login)),
            ("https://user@example.org", Err(BaseUrlError::Login)),
            ("https://example.org?key=1", Err(BaseUrlError::Query)),
            ("https://example.org#x", Err(BaseUrlError::Query)),
            ("ftp://example.org", Err(BaseUrlError::Malformed)),
            ("file:///etc/passwd", Err(BaseUrlError::Malformed)),
            ("unix:/run/x", Err(BaseUrlError::Malformed)),
            ("example.org", Err(BaseUrlError::Malformed)),
            ("https://", Err(BaseUrlError::Malformed)),
            ("", Err(BaseUrlError::Malformed)),
        ] {
            assert_eq!(BaseUrl::parse(text).map(|_| ()), expected, "{text}");
        }
    }

    #[test]
    fn path_is_appended_to_the_base_url_and_stays_below_it() {
        for (base, path, expected) in [
            ("https://h", "", Some("https://h/")),
            ("https://h", "/v1/places:searchNearby", Some("https://h/v1/places:searchNearby")),
            ("https://h/", "/x", Some("https://h/x")),
            ("https://h", "?a=1,2&b", Some("https://h/?a=1,2&b")),
            ("https://h/a/json", "?location=1,-2", Some("https://h/a/json?location=1,-2")),
            ("https://h/a", "/b?c", Some("https://h/a/b?c")),
            ("https://h/a/", "/b", Some("https://h/a/b")),
            ("https://h/a", "/b/../c", Some("https://h/a/c")),
            ("https://h/a", "/b c", Some("https://h/a/b%20c")),
            ("https://h:9", "/é", Some("https://h:9/%C3%A9")),
            ("https://h", "//other/x", Some("https://h//other/x")),
            ("https://h", "/@other", Some("https://h/@other")),
            ("https://h", "/\\other", Some("https://h//other")),
            ("https://h/a", "/..", None),
            ("https://h/a", "/../b", None),
            ("https://h/a", "/%2e%2E/b", None),
            ("https://h/a", "/..\\b", None),
            ("https://h", "x", None),
            ("https://h", ".other", None),
            ("https://h", "@other/", None),
            ("https://h", ":81/", None),
            ("https://h", "https://other", None),
            ("https://h", "\\x", None),
            ("https://h", "/a#b", None),
            ("https://h", "/a\nb", None),
            ("https://h", "/a\tb", None),
            ("https://h", "/a\0", None),
            ("https://h", "/a\x7f", None),
        ] {
            let joined = BaseUrl::parse(base).unwrap().join(path.as_bytes());
            assert_eq!(joined.as_ref().map(Url::as_str), expected, "{base} {path:?}");
        }
        let base = BaseUrl::parse("https://h").unwrap();
        assert_eq!(base.join(b"/\xff"), None);
        assert!(base.join(&[b'/'; PATH_BYTES_MAX]).is_some());
        assert_eq!(base.join(&[b'/'; PATH_BYTES_MAX + 1]), None);
    }

    proptest! {
        #[test]
        fn path_never_leaves_the_base_url(path in r"[/?]([a./\\@:?%2e#é\[\]]|\.\./|%2e){0,12}", port in 0_u16..3) {
            for base in ["https://h/a/b", "https://h", "http://[::1]/x/"] {
                let base = base.replacen("/a", &format!(":{port}/a"), 1);
                let base = BaseUrl::parse(&base).unwrap();
                if let Some(url) = base.join(path.as_bytes()) {
                    prop_assert_eq!(url.origin(), base.0.origin());
                    prop_assert!(url.path().starts_with(base.0.path().trim_end_matches('/')), "{}", url);
                    prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
                }
            }
        }
    }
}
