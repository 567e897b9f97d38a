//! Origins of machine code: who vouches for it, and whom a node trusts for that.
//!
//! Code in the cache outlives the configuration under which it was taken, so it is judged anew when it is loaded. Knows nothing of how code
//! travels. Bounds: [`LINE_BYTES_MAX`] for an origin in a file.

use std::fmt;

use herd_signing::{KeyId, Provenance, SignatureRequirement};

/// Origin of machine code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeOrigin {
    /// This node has compiled it, or it is part of the program.
    Own,
    /// The node of this name has compiled it.
    Compiler(String),
    /// These keys have signed it.
    Signed(Vec<KeyId>),
}

/// Whom a node trusts for machine code, besides itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeTrust {
    /// Nodes that compile for it.
    pub compilers: Vec<String>,
    /// Keys, and the number of them that have to have signed code.
    pub requirement: Option<SignatureRequirement>,
}

impl CodeOrigin {
    /// Returns the origin of code that these keys answer for.
    #[must_use]
    pub fn of(provenance: &Provenance) -> Self {
        Self::Signed(provenance.signers().iter().map(|signer| signer.key).collect())
    }

    /// Takes the origin off a file.
    pub(crate) fn parse(file: &[u8]) -> Option<(Self, &[u8])> {
        let end = file.iter().take(LINE_BYTES_MAX).position(|&byte| byte == b'\n')?;
        let line = str::from_utf8(&file[..end]).ok()?;
        let origin = match line.split_once(' ').unwrap_or((line, "")) {
            ("own", "") => Self::Own,
            ("compiler", name) => Self::Compiler(name.into()),
            ("signed", keys) => Self::Signed(keys.split(' ').map(key_id).collect::<Option<_>>()?),
            _ => return None,
        };
        Some((origin, &file[end + 1..]))
    }

    /// Returns the line at the begin of a file.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Own => "own\n".into(),
            // A line feed in a name would end the line, and the code begin in the name.
            Self::Compiler(name) => format!("compiler {}\n", name.replace('\n', " ")),
            Self::Signed(keys) => {
                let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
                format!("signed {}\n", keys.join(" "))
            }
        }
    }
}

/// Completes a sentence about code.
impl fmt::Display for CodeOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("this node compiled it"),
            Self::Compiler(name) => write!(f, "{name} compiled it"),
            Self::Signed(keys) => {
                let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
                write!(f, "key {} signed it", keys.join(", key "))
            }
        }
    }
}

impl CodeTrust {
    /// Returns whether a node runs code of this origin. The end of a key does not matter: as with guests, it concerns code that is new.
    #[must_use]
    pub fn accepts(&self, origin: &CodeOrigin) -> bool {
        match origin {
            CodeOrigin::Own => true,
            CodeOrigin::Compiler(name) => self.compilers.contains(name),
            CodeOrigin::Signed(keys) => self.requirement.as_ref().is_some_and(|requirement| {
                // Counted by the keys of the configuration, so that none counts twice.
                let signed = requirement.keys.values().filter(|trusted| keys.contains(&trusted.key.id()));
                signed.count() >= requirement.threshold.max(1)
            }),
        }
    }
}

/// Reads the identifier of a key, as it is displayed.
fn key_id(digits: &str) -> Option<KeyId> {
    let number = (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())??;
    Some(KeyId(number.to_le_bytes()))
}

/// Length of an origin in a file: the identifiers of all keys that may have signed it.
const LINE_BYTES_MAX: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use herd_signing::{PrivateKey, TrustedKey};

    use super::*;

    #[test]
    fn code_origin_reads_back_from_the_begin_of_a_file() {
        let ids = [(); 32].map(|()| PrivateKey::generate().unwrap().public().id());
        let name = "n".repeat(128);
        for origin in [CodeOrigin::Own, CodeOrigin::Compiler(name), CodeOrigin::Signed(ids.to_vec())] {
            let file = [origin.line().as_bytes(), b"\x7fELF\n"].concat();
            assert_eq!(CodeOrigin::parse(&file), Some((origin, &b"\x7fELF\n"[..])));
        }
        let forged = CodeOrigin::Compiler("a\nown".into()).line();
        assert_eq!(CodeOrigin::parse(forged.as_bytes()), Some((CodeOrigin::Compiler("a own".into()), &b""[..])));
        for file in [&b""[..], b"own", b"\x7fELF\n", b"owner\n", b"signed\n", b"signed x\n"] {
            assert_eq!(CodeOrigin::parse(file), None, "{}", file.escape_ascii());
        }
    }

    #[test]
    fn code_origin_is_accepted_as_long_as_the_configuration_names_who_vouches() {
        let [one, two] = [(); 2].map(|()| PrivateKey::generate().unwrap().public());
        let requirement = |threshold, keys: &[herd_signing::PublicKey]| {
            let trusted = |(at, key): (usize, &_)| (format!("key{at}"), TrustedKey { key: *key, expires: None });
            Some(SignatureRequirement { threshold, keys: keys.iter().enumerate().map(trusted).collect() })
        };
        let nobody = CodeTrust::default();
        let riley = CodeTrust { compilers: vec!["Riley".into()], ..CodeTrust::default() };
        let by_riley = CodeOrigin::Compiler("Riley".into());
        assert!(nobody.accepts(&CodeOrigin::Own) && !nobody.accepts(&by_riley) && riley.accepts(&by_riley));
        let by_one = CodeOrigin::Signed(vec![one.id(), one.id()]);
        let keys = |requirement| CodeTrust { requirement, ..CodeTrust::default() };
        assert!(keys(requirement(1, &[one])).accepts(&by_one) && keys(requirement(1, &[one, two])).accepts(&by_one));
        assert!(!keys(requirement(1, &[two])).accepts(&by_one), "its key was revoked");
        assert!(!keys(requirement(2, &[one, two])).accepts(&by_one), "two have to sign now");
        assert!(!nobody.accepts(&by_one));
    }
}
