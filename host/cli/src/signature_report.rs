//! Signatures of a guest as `herd inspect` shows them: each with its verdict, and whether the configuration accepts the guest.

use std::fmt;
use std::time::Duration;

use herd_model::GuestFiles;
use herd_signing::{KeyId, SignatureFile, SignaturePolicy, SignatureVerdict, Verdict};
use serde_json::{Value, json};

/// Signatures of a guest, and what the configuration says of them.
#[derive(Debug)]
pub(super) struct SignatureReport {
    /// True for the guest inside this program.
    built_in: bool,
    /// Number of keys that have to have signed it. None: the configuration requires none.
    required: Option<usize>,
    signatures: Vec<SignatureLine>,
    /// Reason for which the configuration does not accept the guest.
    pub(super) refused: Option<String>,
}

/// One signature.
#[derive(Debug)]
struct SignatureLine {
    key: KeyId,
    /// Name of the key in the configuration.
    name: Option<String>,
    /// None if the configuration has no keys to verify it with.
    verdict: Option<Verdict>,
    /// Comment of the signer, if it is verified.
    comment: Option<String>,
}

impl SignatureReport {
    /// Verifies the signatures of a guest, at a time since the Unix epoch.
    pub(super) fn of(policy: &SignaturePolicy, files: GuestFiles<'_>, now: Duration) -> Self {
        let parsed = files.signatures.map(SignatureFile::parse);
        let file = parsed.as_ref().and_then(|parsed| parsed.as_ref().ok()).cloned().unwrap_or_default();
        let signatures = match &policy.requirement {
            Some(requirement) => {
                let line = |SignatureVerdict { key, name, comment, verdict }| SignatureLine {
                    key,
                    name,
                    verdict: Some(verdict),
                    comment,
                };
                requirement.verdicts(files.guest, &file, now).into_iter().map(line).collect()
            }
            None => {
                let line = |key| SignatureLine { key, name: None, verdict: None, comment: None };
                file.keys().into_iter().map(line).collect()
            }
        };
        let unreadable = parsed.and_then(Result::err).map(|why| format!("its signatures cannot be read: {why}"));
        let accepted = policy.accept(files, now);
        Self {
            built_in: policy.built_in == Some(herd_model::Digest::of(files.guest)),
            required: policy.requirement.as_ref().map(|requirement| requirement.threshold),
            signatures,
            refused: accepted.err().map(|why| why.to_string()).or(unreadable),
        }
    }

    /// Returns the report for scripts.
    pub(super) fn json(&self) -> Value {
        let signature = |SignatureLine { key, name, verdict, comment }: &SignatureLine| json!({ "key": key, "name": name, "verdict": verdict, "comment": comment });
        json!({
            "built_in": self.built_in,
            "required": self.required,
            "signatures": self.signatures.iter().map(signature).collect::<Vec<_>>(),
            "refused": self.refused,
        })
    }
}

impl fmt::Display for SignatureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for SignatureLine { key, name, verdict, comment } in &self.signatures {
            let key = name.as_ref().map_or_else(|| format!("key {key}"), |name| format!("{name} ({key})"));
            let says = comment.as_ref().map(|comment| format!(", which says: {}", comment.replace('\t', " ")));
            let says = herd_audit::sanitize(&says.unwrap_or_default());
            match verdict {
                None => writeln!(
                    f,
                    "signed   by {key}, not verified: no `swap.require_signature.keys` in the configuration"
                )?,
                Some(Verdict::Valid) => writeln!(f, "signed   by {key}{says}")?,
                Some(Verdict::Expired(expiry)) => writeln!(f, "signed   by {key}, expired at {expiry}{says}")?,
                Some(Verdict::Invalid) => writeln!(f, "signed   not by {key}: its signature does not fit this file")?,
                Some(Verdict::Unknown) => writeln!(f, "signed   by {key}, which the configuration does not name")?,
            }
        }
        if self.built_in {
            writeln!(f, "signed   built into this program, which is what answers for it")?;
        }
        match (&self.refused, self.required) {
            (Some(why), Some(_)) => writeln!(f, "accepted no: {why}"),
            (Some(why), None) => writeln!(f, "accepted no node that requires signatures would: {why}"),
            (None, Some(required)) if !self.built_in => {
                writeln!(f, "accepted by nodes of this configuration, which requires {required}")
            }
            (None, _) if self.signatures.is_empty() && !self.built_in => writeln!(f, "signed   no"),
            (None, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use herd_signing::{PrivateKey, SignatureRequirement, TrustedKey};

    use super::*;

    fn shown(policy: &SignaturePolicy, guest: &[u8], signatures: Option<&str>) -> (String, bool) {
        let files = GuestFiles { signatures: signatures.map(str::as_bytes), ..GuestFiles::from(guest) };
        let report = SignatureReport::of(policy, files, Duration::ZERO);
        (report.to_string(), report.refused.is_none())
    }

    #[test]
    fn inspect_shows_each_signature_with_its_verdict() {
        let [mira, ada] = [(); 2].map(|()| PrivateKey::generate().unwrap());
        let trusted = TrustedKey { key: mira.public(), expires: None };
        let requirement = SignatureRequirement { threshold: 1, keys: [("mira".to_string(), trusted)].into() };
        let (none, one) = (
            SignaturePolicy::default(),
            SignaturePolicy { requirement: Some(requirement), ..SignaturePolicy::default() },
        );
        let signed =
            mira.sign(b"guest", "for\tthe herd").unwrap().to_string() + &ada.sign(b"guest", "x").unwrap().to_string();
        let (mira, ada) = (mira.public().id(), ada.public().id());
        assert_eq!(shown(&none, b"guest", None), ("signed   no\n".into(), true));
        let unverified = shown(&none, b"guest", Some(&signed)).0;
        assert!(
            unverified.lines().count() == 2 && unverified.contains(&format!("by key {ada}, not verified")),
            "{unverified}"
        );
        assert_eq!(
            shown(&one, b"guest", Some(&signed)),
            (
                format!(
                    "signed   by mira ({mira}), which says: for the herd\nsigned   by key {ada}, which the configuration does not name\n\
                     accepted by nodes of this configuration, which requires 1\n"
                ),
                true
            )
        );
        let (changed, accepted) = shown(&one, b"another", Some(&signed));
        assert!(changed.starts_with(&format!("signed   not by mira ({mira})")) && !accepted, "{changed}");
        assert!(changed.contains("\naccepted no: it does not have the signature of mira"), "{changed}");
        let damaged = shown(&none, b"guest", Some("x"));
        assert!(damaged.0.contains("cannot be read: from line 1 on") && !damaged.1, "{damaged:?}");
        let built_in = SignaturePolicy { built_in: Some(herd_model::Digest::of(b"guest")), ..one };
        assert_eq!(
            shown(&built_in, b"guest", None),
            ("signed   built into this program, which is what answers for it\n".into(), true)
        );
    }
}
