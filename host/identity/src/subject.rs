//! Subject of a certificate: a herd, and who in it.
//!
//! It is written as one URI among the alternative names of the certificate: `herd://HERD/node/NODE`,
//! `herd://HERD/operator/NAME`, or `herd://HERD/authority`. A name may contain any character; all bytes but letters, digits,
//! `-`, `.`, `_` and `~` are escaped (`%2F`), so that two subjects never share a URI.
//!
//! Bounds: [`HERD_NAME_BYTES_MAX`] and [`NODE_NAME_BYTES_MAX`].

use std::fmt;

use herd_model::limits::{HERD_NAME_BYTES_MAX, NODE_NAME_BYTES_MAX};

/// Herd, and a member or the authority of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Name of the herd, 1 to [`HERD_NAME_BYTES_MAX`] bytes.
    pub herd: String,
    /// Member of the herd.
    pub role: Role,
}

/// Part that the holder of a certificate has in its herd.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The node of this name: an end of links.
    Node(String),
    /// The person of this name, who administers nodes from another host. Never an end of a link.
    Operator(String),
    /// The authority: it signs certificates and revocation lists, and is no peer.
    Authority,
}

/// The text does not name a subject. Whoever made the certificate, or typed the name, is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// The name of the herd is empty or too long.
    #[error("the name of a herd has 1 to {HERD_NAME_BYTES_MAX} bytes")]
    HerdName,
    /// The name of the node or operator is empty or too long.
    #[error("the name of a node or an operator has 1 to {NODE_NAME_BYTES_MAX} bytes")]
    MemberName,
    /// The URI is not of the form that [`Subject::uri`] writes.
    #[error("not a URI of the form herd://HERD/node/NODE")]
    Uri,
}

impl Subject {
    /// Names a member, or the authority, of a herd.
    ///
    /// # Errors
    ///
    /// A name is empty or too long.
    pub fn new(herd: &str, role: Role) -> Result<Self, SubjectError> {
        if !(1..=HERD_NAME_BYTES_MAX).contains(&herd.len()) {
            return Err(SubjectError::HerdName);
        }
        if let Some(name) = role.name()
            && !(1..=NODE_NAME_BYTES_MAX).contains(&name.len())
        {
            return Err(SubjectError::MemberName);
        }
        Ok(Self { herd: herd.into(), role })
    }

    /// Returns the URI that names this subject in a certificate.
    #[must_use]
    pub fn uri(&self) -> String {
        let herd = escape(&self.herd);
        match &self.role {
            Role::Node(name) => format!("{SCHEME}{herd}/node/{}", escape(name)),
            Role::Operator(name) => format!("{SCHEME}{herd}/operator/{}", escape(name)),
            Role::Authority => format!("{SCHEME}{herd}/authority"),
        }
    }

    /// Reads what [`uri`](Self::uri) wrote. Other spellings of the same names are refused, so that one subject has one URI.
    ///
    /// # Errors
    ///
    /// See [`SubjectError`].
    pub fn from_uri(uri: &str) -> Result<Self, SubjectError> {
        // Checked before anything is copied: each byte of a name has at most three in the URI.
        if uri.len() > URI_BYTES_MAX {
            return Err(SubjectError::Uri);
        }
        let mut parts = uri.strip_prefix(SCHEME).ok_or(SubjectError::Uri)?.split('/');
        let herd = unescape(parts.next().unwrap_or_default())?;
        let role = match (parts.next(), parts.next(), parts.next()) {
            (Some("node"), Some(name), None) => Role::Node(unescape(name)?),
            (Some("operator"), Some(name), None) => Role::Operator(unescape(name)?),
            (Some("authority"), None, None) => Role::Authority,
            _ => return Err(SubjectError::Uri),
        };
        let subject = Self::new(&herd, role)?;
        if subject.uri() == uri { Ok(subject) } else { Err(SubjectError::Uri) }
    }
}

impl Role {
    /// Returns the name of the node or operator.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Node(name) | Self::Operator(name) => Some(name),
            Self::Authority => None,
        }
    }
}

/// Words for people and logs. Names are escaped, because they may come from a stranger's certificate.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of herd {}", self.role, self.herd.escape_debug())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "node {}", name.escape_debug()),
            Self::Operator(name) => write!(f, "operator {}", name.escape_debug()),
            Self::Authority => f.write_str("the authority"),
        }
    }
}

fn escape(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn unescape(text: &str) -> Result<String, SubjectError> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(SubjectError::Uri)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| SubjectError::Uri)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| SubjectError::Uri)
}

const SCHEME: &str = "herd://";
const URI_BYTES_MAX: usize = SCHEME.len() + 3 * HERD_NAME_BYTES_MAX + "/operator/".len() + 3 * NODE_NAME_BYTES_MAX;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn subject_is_one_uri() {
        let node = Subject::new("five", Role::Node("Riley".into())).unwrap();
        assert_eq!(node.uri(), "herd://five/node/Riley");
        assert_eq!(node.to_string(), "node Riley of herd five");
        let odd = Subject::new("a/node/b", Role::Operator("x\n".into())).unwrap();
        assert_eq!(odd.uri(), "herd://a%2Fnode%2Fb/operator/x%0A");
        assert_eq!(odd.to_string(), "operator x\\n of herd a/node/b");
        for uri in [
            "herd://five/node/",
            "herd:///node/Riley",
            "herd://five/node/R%69ley",
            "herd://five/node/Riley/",
            "herd://five/node/Ri%6",
            "herd://five/node/%ff",
            "herd://five/authority/x",
            "https://five/node/Riley",
            "herd://five",
        ] {
            assert!(Subject::from_uri(uri).is_err(), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn subject_survives_its_uri(herd in ".{1,32}", name in ".{1,16}") {
            for role in [Role::Node(name.clone()), Role::Operator(name), Role::Authority] {
                let subject = Subject::new(&herd, role).unwrap();
                prop_assert!(subject.uri().len() <= URI_BYTES_MAX);
                prop_assert_eq!(Subject::from_uri(&subject.uri()), Ok(subject));
            }
        }

        #[test]
        fn subject_of_any_text_is_canonical(text in "herd://[a-z%0-9/é]{0,40}") {
            if let Ok(subject) = Subject::from_uri(&text) {
                prop_assert_eq!(subject.uri(), text);
            }
        }
    }
}
