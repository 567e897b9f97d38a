//! References to guests in registries, as operators type them.
//!
//! Bounds: the lengths that the distribution specification allows.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use herd_model::{BadDigest, Digest};

/// A guest in a registry: `oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`, with a tag, a digest or both.
///
/// The digest is that of the manifest, and thereby fixes the guest, its signatures and its transcripts. A tag is a name that whoever may push
/// can move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text is no reference to a guest. The operator is at fault. Nothing was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// It begins with something else.
    #[error("a guest in a registry is written oci://HOST/REPOSITORY:TAG@sha256:DIGEST")]
    Scheme,
    /// The host is missing or has letters that no host has, or a user name.
    #[error("the host of a registry is a name or address, perhaps with a port, and without a user")]
    Host,
    /// The repository is missing or malformed.
    #[error("a repository is lower-case letters and digits, with `.`, `_`, `-` and `/` between them")]
    Repository,
    /// The tag is malformed.
    #[error("a tag is at most 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two")]
    Tag,
    /// The digest is malformed, or of another kind.
    #[error("a digest in a reference is sha256: and 64 hexadecimal digits")]
    Digest,
    /// Neither tag nor digest. There is no default, because `latest` is seldom what serves.
    #[error("the reference has neither a tag nor a digest")]
    Unnamed,
}

impl Reference {
    /// Returns the host and port, as written.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest of the manifest.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Returns the same reference with this digest.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// Returns the same reference without its tag.
    #[must_use]
    pub fn without_tag(&self) -> Self {
        Self { tag: None, ..self.clone() }
    }

    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    /// Host to which requests go: that of Docker Hub has another name than its references.
    pub(crate) fn api_host(&self) -> &str {
        if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host }
    }

    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.iter().try_for_each(|digest| write!(f, "@sha256:{digest}"))
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let text = text.strip_prefix(SCHEME).ok_or(BadReference::Scheme)?;
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => (text, Some(parse_digest(digest).map_err(|BadDigest| BadReference::Digest)?)),
            None => (text, None),
        };
        let (host, path) = text.split_once('/').ok_or(BadReference::Repository)?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_string())),
            None => (path, None),
        };
        if !is_host(host) {
            return Err(BadReference::Host);
        }
        if repository.len() > REPOSITORY_BYTES_MAX || !repository.split('/').all(is_component) {
            return Err(BadReference::Repository);
        }
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(BadReference::Tag);
        }
        if tag.is_none() && digest.is_none() {
            return Err(BadReference::Unnamed);
        }
        Ok(Self { host: host.to_ascii_lowercase(), repository: repository.into(), tag, digest })
    }
}

/// Parses `sha256:` and 64 digits. The only kind that is taken: another one would have to be as strong.
pub(crate) fn parse_digest(text: &str) -> Result<Digest, BadDigest> {
    text.strip_prefix("sha256:").ok_or(BadDigest)?.parse()
}

/// Tests whether a host, perhaps with a port, is this machine: 127.0.0.0/8, ::1 or localhost.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_host(host: &str) -> bool {
    let is_plain = host.bytes().all(|letter| letter.is_ascii_alphanumeric() || b".-:[]".contains(&letter));
    // The parser of URLs is the one that requests will pass, so a host is what it takes for one.
    is_plain && reqwest::Url::parse(&format!("https://{host}/")).is_ok_and(|url| url.path() == "/")
}

fn is_component(component: &str) -> bool {
    let is_edge =
        |letter: Option<&u8>| letter.is_some_and(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    let bytes = component.as_bytes();
    let is_known = |letter: &u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"._-".contains(letter);
    is_edge(bytes.first()) && is_edge(bytes.last()) && bytes.iter().all(is_known) && !component.contains("..")
}

fn is_tag(tag: &str) -> bool {
    let is_known = |letter: u8| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter);
    (1..=TAG_BYTES_MAX).contains(&tag.len()) && tag.bytes().all(is_known) && !tag.starts_with(['.', '-'])
}

const SCHEME: &str = "oci://";

/// As many as the specification promises that every registry takes.
const REPOSITORY_BYTES_MAX: usize = 255;

/// Of the specification.
const TAG_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reference_has_a_host_a_repository_and_a_tag_or_a_digest() {
        let digest = Digest::of(b"manifest");
        for text in [
            "oci://h/r:1".to_string(),
            "oci://127.0.0.1:5000/a/b_c/d-e.f:v1.2-rc_3".into(),
            format!("oci://[::1]:5000/r@sha256:{digest}"),
            format!("oci://ghcr.io/team/guest:1@sha256:{digest}"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        for (text, why) in [
            ("guest.wasm", BadReference::Scheme),
            ("oci://host", BadReference::Repository),
            ("oci:///r:1", BadReference::Host),
            ("oci://user:word@host/r:1", BadReference::Digest),
            ("oci://h?/r:1", BadReference::Host),
            ("oci://h:port/r:1", BadReference::Host),
            ("oci://h/../r:1", BadReference::Repository),
            ("oci://h/R:1", BadReference::Repository),
            ("oci://h/r/:1", BadReference::Repository),
            ("oci://h/a%2fb:1", BadReference::Repository),
            ("oci://h/r:", BadReference::Tag),
            ("oci://h/r:a/b", BadReference::Tag),
            ("oci://h/r:.a", BadReference::Tag),
            ("oci://h/r", BadReference::Unnamed),
            ("oci://h/r@sha256:12", BadReference::Digest),
            ("oci://h/r@sha512:12", BadReference::Digest),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(why), "{text}");
        }
    }

    #[test]
    fn reference_to_loopback_is_known() {
        for (host, expected) in [
            ("localhost:5000", true),
            ("127.0.0.9", true),
            ("[::1]:5000", true),
            ("localhost.example", false),
            ("127.0.0.1.example", false),
            ("10.0.0.1:5000", false),
            ("[::2]", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    proptest! {
        #[test]
        fn reference_parsing_never_panics_and_round_trips(text in "(oci://)?[a-z0-9.:/@\\[\\]é_-]{0,40}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse(), Ok(reference));
            }
        }
    }
}
