//! Requests that a web page made, by their headers.
//!
//! A page of any origin can make the browser on this machine send requests to loopback, and, by a name that resolves to loopback, also
//! read their answers. No page is served here, so none has a reason to. Knows nothing of tokens.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};

/// Returns why a request seems to be that of a web page of another origin, or `None` if nothing says so.
pub(super) fn sign_of_a_web_page(headers: &HeaderMap) -> Option<&'static str> {
    let host = headers.get(header::HOST).map(text);
    if headers.get_all(header::HOST).iter().count() > 1 || host.is_some_and(|host| !is_loopback(host)) {
        return Some("its host is no name of this machine; use 127.0.0.1 or localhost");
    }
    let own = host.map(|host| format!("http://{host}"));
    if headers.get_all(header::ORIGIN).iter().any(|origin| own.as_deref() != Some(text(origin))) {
        return Some("it comes from a web page");
    }
    // Browsers send no origin with some requests, but always this, and no script can change it.
    match headers.get("sec-fetch-site").map(text) {
        None | Some("none" | "same-origin") => None,
        Some(_) => Some("it comes from a web page"),
    }
}

/// Returns whether the host of a request, with or without a port, is an address of loopback or `localhost`.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    }
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// A value that is no text equals nothing that is compared with it.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("\u{fffd}")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn refused(headers: &[(&str, &str)]) -> bool {
        let pairs = headers.iter().map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        let mut all = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            all.append(name, value);
        });
        sign_of_a_web_page(&all).is_some()
    }

    #[test]
    fn web_page_of_another_origin_is_recognized() {
        for headers in [
            &[("host", "127.0.0.1:17415"), ("origin", "https://example.org")][..],
            &[("host", "127.0.0.1:17415"), ("origin", "null")],
            &[("host", "127.0.0.1:17415"), ("origin", "")],
            &[("host", "127.0.0.1:17415"), ("origin", "http://127.0.0.1:8000")],
            &[("host", "127.0.0.1:17415"), ("origin", "http://127.0.0.1:17415"), ("origin", "http://evil")],
            &[("origin", "http://127.0.0.1:17415")],
            &[("host", "127.0.0.1:17415"), ("sec-fetch-site", "cross-site")],
            &[("host", "127.0.0.1:17415"), ("sec-fetch-site", "same-site")],
            &[("host", "herd.example.org:17415")],
            &[("host", "127.0.0.1.example.org")],
            &[("host", "localhost.example.org")],
            &[("host", "10.0.0.1")],
            &[("host", "[2001:db8::1]:17415")],
            &[("host", "127.0.0.1"), ("host", "example.org")],
            &[("host", "127.0.0.1:17415@example.org")],
            &[("host", "é")],
            &[("host", "")],
        ] {
            assert!(refused(headers), "{headers:?}");
        }
    }

    #[test]
    fn script_and_address_bar_are_not_taken_for_a_web_page() {
        for headers in [
            &[][..],
            &[("host", "127.0.0.1:17415")],
            &[("host", "127.0.0.2")],
            &[("host", "LOCALHOST:17415")],
            &[("host", "[::1]:17415")],
            &[("host", "[::1]")],
            &[("host", "127.0.0.1:17415"), ("sec-fetch-site", "none")],
            &[("host", "localhost:17415"), ("origin", "http://localhost:17415"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(!refused(headers), "{headers:?}");
        }
    }
}
