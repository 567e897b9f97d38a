//! Configuration of swaps: probation, and the signatures that guests need.
//!
//! Knows no formats of keys; `herd-signing` does. Bounds: those of a [`SignatureRequirement`].

use std::collections::BTreeMap;

use herd_model::Digest;
use herd_runtime::SwapLimits;
use herd_signing::{Expiry, PublicKey, SignaturePolicy, SignatureRequirement, TrustedKey};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Table `[swap]`. None of it changes while a node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwapConfig {
    /// Duration of the probation, in seconds. Default 600; 0 means none. Raised, clients that provoke faults can roll back a swap
    /// for longer.
    pub probation_s: u64,
    /// Faults within the window that end the probation with a rollback. Default 8; at least 1. Raised, more calls are decided
    /// twice before a bad guest is gone.
    pub faults_max: usize,
    /// Length of that window, in seconds. Default 10. Raised, rarer faults count together.
    pub window_s: u64,
    /// Time for which a candidate of a herd-wide swap is held without a message from the coordinator, in seconds. Default 5, which
    /// is five heartbeats. Raised, a coordinator that died blocks the next swap for longer.
    pub candidate_s: u64,
    /// Nodes that compile for those that cannot: these run whatever machine code they are sent by one of them. Default: none. Added to, more
    /// nodes can run anything on nodes without a compiler; see docs/compiled-code.md.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compilers: Vec<String>,
    /// Signatures without which the node takes no guest, but for the one inside the program. Default: none are required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_signature: Option<SignatureConfig>,
}

/// Table `[swap.require_signature]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureConfig {
    /// Number of keys that have to have signed a guest. Default 1; at most the number of keys. Raised, more people have to agree to a swap.
    pub threshold: usize,
    /// Keys by the name that messages, `herd status` and the audit log call them. Default: none, which is refused.
    pub keys: BTreeMap<String, KeyConfig>,
}

/// Table `[swap.require_signature.keys.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// Public key, as `herd keygen` and `minisign -G` print it: text that begins with RW. Required.
    pub key: PublicKey,
    /// Moment from which on the node takes no new guest that this key signed: a date, whose begin in UTC it is, or a time with its offset from
    /// UTC. What the node serves it serves on, also after a restart. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<KeyExpiry>,
}

/// End of a key, as text or as a date or time of TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExpiry(pub Expiry);

impl SwapConfig {
    /// Returns the limits of probations.
    #[must_use]
    pub fn limits(&self) -> SwapLimits {
        SwapLimits { probation_s: self.probation_s, faults_max: self.faults_max, window_s: self.window_s }
    }

    /// Returns the policy of a node whose program has this guest inside.
    #[must_use]
    pub fn policy(&self, built_in: Digest) -> SignaturePolicy {
        SignaturePolicy { requirement: self.signatures(), built_in: Some(built_in), ..SignaturePolicy::default() }
    }

    /// Returns the signatures that guests need.
    #[must_use]
    pub fn signatures(&self) -> Option<SignatureRequirement> {
        let SignatureConfig { threshold, keys } = self.require_signature.as_ref()?;
        let trusted = |(name, key): (&String, &KeyConfig)| {
            (name.clone(), TrustedKey { key: key.key, expires: key.expires.map(|KeyExpiry(expiry)| expiry) })
        };
        Some(SignatureRequirement { threshold: *threshold, keys: keys.iter().map(trusted).collect() })
    }
}

impl Default for SwapConfig {
    fn default() -> Self {
        let SwapLimits { probation_s, faults_max, window_s } = SwapLimits::default();
        Self { probation_s, faults_max, window_s, candidate_s: 5, compilers: Vec::new(), require_signature: None }
    }
}

impl Default for SignatureConfig {
    fn default() -> Self {
        Self { threshold: 1, keys: BTreeMap::new() }
    }
}

impl Serialize for KeyExpiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for KeyExpiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            value => value.to_string(),
        };
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Sources, load};

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    fn requirement(set: &[String]) -> Result<Option<herd_signing::SignatureRequirement>, String> {
        let config = load(&Sources { set: set.to_vec(), ..Sources::default() });
        config.map(|config| config.swap.signatures()).map_err(|error| error.to_string())
    }

    fn key(name: &str, value: &str) -> String {
        format!("swap.require_signature.keys.{name}={value}")
    }

    #[test]
    fn signature_requirement_is_read_with_its_keys_and_their_ends() {
        assert_eq!(requirement(&[]), Ok(None));
        for expires in ["\"2027-01-01\"", "2027-01-01", "2027-01-01T02:00:00+02:00"] {
            let set = [key("release", &format!("{{ key = \"{KEY}\", expires = {expires} }}"))];
            let read = requirement(&set).unwrap().unwrap();
            let release = read.keys["release"];
            assert_eq!((read.threshold, release.key.to_string()), (1, KEY.to_string()));
            assert_eq!(release.expires.unwrap().to_string(), "2027-01-01T00:00:00Z", "{expires}");
        }
        // As the environment and the command line set single values.
        let single = requirement(&[key("release.key", KEY), key("release.expires", "2027-01-01")]).unwrap().unwrap();
        assert!(single.keys["release"].expires.is_some());
    }

    #[test]
    fn signature_requirement_that_cannot_be_met_is_refused_with_what_to_write() {
        let good = key("release", &format!("{{ key = \"{KEY}\" }}"));
        for (set, problem) in [
            (
                vec!["swap.require_signature={}".into()],
                "`swap.require_signature`: it has no keys, so no guest could be accepted; add one",
            ),
            (
                vec![good.clone(), "swap.require_signature.threshold=2".into()],
                "`swap.require_signature`: its threshold is 2, and it has 1 keys",
            ),
            (
                vec![good.clone(), key("ops", &format!("{{ key = \"{KEY}\" }}"))],
                "`swap.require_signature`: ops and release are one key",
            ),
            (vec![key("release", "{ key = \"RWQ\" }")], "it is no public key of minisign; write the line"),
            (
                vec![key("release", &format!("{{ key = \"{KEY}\", expires = \"soon\" }}"))],
                "\"soon\" is no moment at which a key expires; write",
            ),
            (vec![key("release", "{ }")], "has no `key`"),
            (
                vec![good, "swap.require_signature.treshold=2".into()],
                "unknown key `treshold`; did you mean `threshold`?",
            ),
        ] {
            let refused = requirement(&set).unwrap_err();
            assert!(refused.contains(problem), "{set:?}: {refused}");
        }
    }
}
