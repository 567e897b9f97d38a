//! Permission to report under a name, which a session has by the token in its first line.
//!
//! The host knows no names: it compares keys, under which the guest keeps. The default logic uses the name of the client as it is. A
//! keep without permission is not performed, and the guest's reply to it is the fallback, as for a record that has no room.
//!
//! Owns the permissions of a node. Knows nothing of sockets. Bounds: bytes of a line with a token ([`TOKEN_LINE_BYTES_MAX`]).

use std::collections::HashMap;
use std::sync::Arc;

use herd_model::Digest;

use super::input_buffer::{InputBuffer, Line};
use crate::reporters::Reporters;

/// The permissions of a node.
pub(crate) struct Permissions {
    by_token: HashMap<Digest, Arc<NamePatterns>>,
    without_token: Arc<NamePatterns>,
}

/// Names under which a session may report.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NamePatterns {
    whole: Vec<Box<[u8]>>,
    beginnings: Vec<Box<[u8]>>,
}

/// The permission of a session whose input has begun.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// The first bytes may become a line with a token.
    Unknown,
    /// The session has it.
    Granted(Arc<NamePatterns>),
    /// The token is none of this node.
    Refused,
}

impl Permissions {
    /// Returns the permissions of a configuration. `None` if it has no groups, so that everybody may report.
    pub(crate) fn new(reporters: &Reporters) -> Option<Self> {
        if reporters.is_empty() {
            return None;
        }
        let (mut by_token, mut without_token) = (HashMap::<Digest, NamePatterns>::new(), NamePatterns::default());
        for reporter in reporters.0.values() {
            // Groups with one token, or without, have the names of each.
            let patterns = match reporter.token_sha256 {
                Some(token) => by_token.entry(token).or_default(),
                None => &mut without_token,
            };
            reporter.clients.iter().for_each(|name| patterns.add(name));
        }
        let by_token = by_token.into_iter().map(|(token, patterns)| (token, Arc::new(patterns))).collect();
        Some(Self { by_token, without_token: Arc::new(without_token) })
    }

    /// Takes the line with the token from the front of the input of a session, if that begins with one.
    pub(crate) fn take(&self, input: &mut InputBuffer) -> Permission {
        match input.take_line_with(TOKEN, TOKEN_LINE_BYTES_MAX) {
            Line::Unfinished => Permission::Unknown,
            Line::Other => Permission::Granted(Arc::clone(&self.without_token)),
            Line::TooLong => Permission::Refused,
            // By digest: a comparison of the token itself would take the longer, the more of its bytes are right.
            Line::Taken(token) => match self.by_token.get(&Digest::of(token.trim_ascii())) {
                Some(patterns) => Permission::Granted(Arc::clone(patterns)),
                None => Permission::Refused,
            },
        }
    }
}

impl NamePatterns {
    fn add(&mut self, name: &str) {
        match name.strip_suffix('*') {
            Some(beginning) => self.beginnings.push(beginning.as_bytes().into()),
            None => self.whole.push(name.as_bytes().into()),
        }
    }

    /// Returns whether a name is one of them.
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.whole.iter().any(|whole| **whole == *name) || self.beginnings.iter().any(|begin| name.starts_with(begin))
    }
}

/// Beginning of the line with a token.
const TOKEN: &[u8] = b"TOKEN ";
/// Longest line with a token. A token needs no more than 43 bytes, for 256 random bits.
const TOKEN_LINE_BYTES_MAX: usize = 512;
/// Reply to a token that is none of the node. Without the token, which would otherwise be in logs of the client.
pub(crate) const TOKEN_REFUSED: &[u8] = b"? TOKEN\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reporters::Reporter;

    fn permissions(groups: &[(&str, Option<&str>, &[&str])]) -> Permissions {
        let reporter = |(name, token, clients): &(&str, Option<&str>, &[&str])| {
            let token_sha256 = token.map(|token| Digest::of(token.as_bytes()));
            ((*name).into(), Reporter { token_sha256, clients: clients.iter().map(ToString::to_string).collect() })
        };
        Permissions::new(&Reporters(groups.iter().map(reporter).collect())).unwrap()
    }

    fn fleet() -> Permissions {
        permissions(&[
            ("fleet", Some("secret"), &["truck-*", "kiwi"]),
            ("more", Some("secret"), &["van"]),
            ("guests", None, &["guest-*"]),
        ])
    }

    fn take(permissions: &Permissions, bytes: &[u8]) -> (Permission, Vec<u8>) {
        let mut input = InputBuffer::new();
        input.extend(bytes);
        let permission = permissions.take(&mut input);
        (permission, input.prefix(usize::MAX).to_vec())
    }

    fn granted(permission: Permission) -> Arc<NamePatterns> {
        let Permission::Granted(patterns) = permission else { panic!("{permission:?}") };
        patterns
    }

    #[test]
    fn permission_of_a_token_is_that_of_all_its_groups() {
        let (permission, rest) = take(&fleet(), b"TOKEN secret\r\nIAMAT");
        assert_eq!(rest, b"IAMAT", "the line is taken");
        let names = granted(permission);
        let may: Vec<bool> = ["kiwi", "truck-7", "truck-", "van"].map(|name| names.contains(name.as_bytes())).into();
        assert_eq!(may, [true; 4]);
        for name in ["kiwi2", "truck", "vans", "guest-1", ""] {
            assert!(!names.contains(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn permission_without_a_token_is_that_of_the_groups_without() {
        for input in [&b"IAMAT guest-1"[..], b"TOKENS x\n", b"token secret\n", b"\n"] {
            let (permission, rest) = take(&fleet(), input);
            assert_eq!(rest, input, "nothing is taken");
            let names = granted(permission);
            assert!(names.contains(b"guest-1") && !names.contains(b"kiwi"));
        }
        let closed = permissions(&[("fleet", Some("secret"), &["*"])]);
        assert!(!granted(take(&closed, b"x\n").0).contains(b"x"), "nobody else may report");
        assert!(Permissions::new(&Reporters::default()).is_none());
    }

    #[test]
    fn permission_waits_for_the_whole_line_and_refuses_other_tokens() {
        for input in [&b""[..], b"T", b"TOKEN", b"TOKEN ", b"TOKEN secret"] {
            assert_eq!(take(&fleet(), input).0, Permission::Unknown, "{input:?}");
        }
        for token in ["secre", "secret2", "", "secret secret"] {
            assert_eq!(take(&fleet(), format!("TOKEN {token}\n").as_bytes()).0, Permission::Refused, "{token}");
        }
        assert_eq!(take(&fleet(), &[TOKEN, &[b'x'; TOKEN_LINE_BYTES_MAX]].concat()).0, Permission::Refused);
        let mut ended = InputBuffer::new();
        ended.extend(b"TOKEN secret");
        ended.end();
        assert!(matches!(fleet().take(&mut ended), Permission::Granted(_)));
        let mut short = InputBuffer::new();
        short.extend(b"TOK");
        short.end();
        assert!(matches!(fleet().take(&mut short), Permission::Granted(_)), "a line of another kind");
    }
}
