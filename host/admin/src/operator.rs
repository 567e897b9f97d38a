//! Identity of an operator: the user of a process, the name that the command line sends, and its reading on the server.
//!
//! Over the socket the kernel says who the user is, over the link port a certificate. Over TCP the name is a claim: any holder of the token
//! may send any name, so it tells colleagues apart and keeps nobody out. Bound: [`CHARS_MAX`] printable ASCII characters; others are
//! replaced, because the name is printed on terminals.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

/// Returns the user of this process as the system reports it: `mira uid 1000 at edge-3`.
#[must_use]
pub fn operator() -> String {
    described(std::env::var("USER").ok().filter(|user| !user.is_empty()).as_deref(), rustix::process::getuid().as_raw())
}

/// Describes a user of this machine.
fn described(name: Option<&str>, uid: u32) -> String {
    let mut operator = name.map(|name| format!("{name} ")).unwrap_or_default();
    operator.push_str(&format!("uid {uid}"));
    // The same name as from `gethostname`, which would need one more feature of rustix.
    if let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        operator.push_str(&format!(" at {}", host.trim()));
    }
    printable(&operator)
}

/// Operator of a request: the user of the socket's peer, the holder of a certificate, or a name that the request claims, marked as such.
#[derive(Clone, Debug)]
pub(super) struct RequestOperator(pub(super) String);

impl RequestOperator {
    /// Operator whom the kernel has identified.
    pub(super) fn verified(name: Option<&str>, uid: u32) -> Self {
        Self(format!("operator {}", described(name, uid)))
    }

    /// Operator who has proved by a certificate with this serial number who it is, from this address.
    pub(super) fn certified(name: &str, serial: &str, address: IpAddr) -> Self {
        Self(format!("operator {} (certificate {serial}) at {}", printable(name), address.to_canonical()))
    }
}

impl<S: Sync> FromRequestParts<S> for RequestOperator {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self(claimed(&parts.headers))))
    }
}

fn claimed(headers: &HeaderMap) -> String {
    let claim = headers.get(HEADER).map(|claim| printable(&String::from_utf8_lossy(claim.as_bytes())));
    match claim.filter(|claim| !claim.is_empty()) {
        Some(claim) => format!("operator {claim} (as claimed)"),
        None => "a holder of the token (no name given)".into(),
    }
}

/// Makes a text safe for a header, a log line and a terminal.
fn printable(text: &str) -> String {
    let printable = |char: char| if char.is_ascii_graphic() || char == ' ' { char } else { '?' };
    text.trim().chars().map(printable).take(CHARS_MAX).collect()
}

/// Header with the name of the operator.
pub(super) const HEADER: &str = "herd-operator";
/// Enough for a user name and a host name of 64 characters each, with the words between them.
const CHARS_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn operator_has_a_uid_and_fits_into_a_header() {
        let operator = operator();
        assert!(operator.contains(&format!("uid {}", rustix::process::getuid().as_raw())), "{operator}");
        assert!(HeaderValue::from_str(&operator).is_ok(), "{operator}");
    }

    #[test]
    fn certified_operator_is_named_with_certificate_and_address() {
        let who = |name| RequestOperator::certified(name, "4f5a13a9", "::ffff:192.0.2.7".parse().unwrap()).0;
        assert_eq!(who("mira"), "operator mira (certificate 4f5a13a9) at 192.0.2.7");
        assert_eq!(who("m\u{9b}31m\nira"), "operator m?31m?ira (certificate 4f5a13a9) at 192.0.2.7");
    }

    #[test]
    fn claimed_operator_is_sanitized_truncated_and_marked() {
        let claim = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_bytes(value).unwrap());
            claimed(&headers)
        };
        assert_eq!(claim(b"mira uid 1000 at edge-3"), "operator mira uid 1000 at edge-3 (as claimed)");
        assert_eq!(claim(b"m\tira \xff"), "operator m?ira ? (as claimed)");
        assert!(claim(&[b'a'; 4000]).len() < 200);
        for nobody in [claim(b""), claim(b"  "), claimed(&HeaderMap::new())] {
            assert_eq!(nobody, "a holder of the token (no name given)");
        }
    }
}
