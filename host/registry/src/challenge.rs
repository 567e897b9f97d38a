//! Challenge of a registry, which it sends before it answers: the header `www-authenticate`.

/// A challenge of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token of a service.
    Bearer {
        /// URL of the service.
        realm: String,
        /// Name of the registry at the service.
        service: Option<String>,
        /// Scope that the token has to have.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Parses one header. None: of another kind, or malformed.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, parameters) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        let mut rest = parameters.trim_start();
        while let Some((name, after)) = rest.split_once('=') {
            let (value, after) = match after.strip_prefix('"') {
                // No registry escapes a quote in a URL, a host or a scope.
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_at(after.find(',').unwrap_or(after.len())),
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_string()),
                "service" => service = Some(value.to_string()),
                "scope" => scope = Some(value.to_string()),
                _ => {}
            }
            rest = after.trim_start_matches([',', ' ']);
        }
        Some(Self::Bearer { realm: realm?, service, scope })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn challenge_of_each_kind_is_read() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            let [service, scope] = [service, scope].map(|text| text.map(Into::into));
            Some(Challenge::Bearer { realm: realm.into(), service, scope })
        };
        let full = r#"Bearer realm="https://h/token",service="s",scope="repository:a/b:pull,push",error="x""#;
        for (header, expected) in [
            (r#"Basic realm="x""#, Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (full, bearer("https://h/token", Some("s"), Some("repository:a/b:pull,push"))),
            ("BEARER Service=s, realm=https://h", bearer("https://h", Some("s"), None)),
            ("Bearer service=s", None),
            (r#"Bearer realm="https://h"#, None),
            ("Negotiate", None),
        ] {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn challenge_parsing_never_panics(text in r#"(Bearer )?[a-z=," é]{0,40}"#) {
            let _ = Challenge::parse(&text);
        }
    }
}
