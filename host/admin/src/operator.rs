//! Who is at the other end of the admin API: what the command line says of itself, and what a node makes of it.
//!
//! It is a claim. Who holds the token may say anything; it tells colleagues apart, and keeps nobody out.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

/// The user who runs this process, as far as the system says: `mira uid 1000 at edge-3`.
#[must_use]
pub fn operator() -> String {
    let mut operator = String::new();
    if let Some(user) = std::env::var("USER").ok().filter(|user| !user.is_empty()) {
        operator.push_str(&user);
        operator.push(' ');
    }
    operator.push_str(&format!("uid {}", rustix::process::getuid().as_raw()));
    // What `gethostname` gives, without asking rustix for more than the dependencies do.
    if let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        operator.push_str(&format!(" at {}", host.trim()));
    }
    plain(&operator)
}

/// Operator that a request names, marked as a claim.
#[derive(Debug)]
pub(super) struct ClaimedOperator(pub(super) String);

impl<S: Sync> FromRequestParts<S> for ClaimedOperator {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(claimed(&parts.headers)))
    }
}

fn claimed(headers: &HeaderMap) -> String {
    let claim = headers.get(HEADER).map(|claim| plain(&String::from_utf8_lossy(claim.as_bytes())));
    match claim.filter(|claim| !claim.is_empty()) {
        Some(claim) => format!("operator {claim} (as claimed)"),
        None => "a holder of the token (no name given)".into(),
    }
}

/// What fits into a header, a line of a log and a terminal.
fn plain(text: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' };
    text.trim().chars().map(plain).take(LETTERS_MAX).collect()
}

/// The header that carries it.
pub(super) const HEADER: &str = "herd-operator";
/// A user name and a host name of 64 each, with room.
const LETTERS_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn an_operator_has_a_uid_and_fits_into_a_header() {
        let operator = operator();
        assert!(operator.contains(&format!("uid {}", rustix::process::getuid().as_raw())), "{operator}");
        assert!(HeaderValue::from_str(&operator).is_ok(), "{operator}");
    }

    #[test]
    fn a_claim_is_cleaned_cut_and_marked() {
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
