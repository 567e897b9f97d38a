//! The policy of a node: the keys of its configuration, and what it knows of the time.

use std::path::Path;

use herd_config::HerdConfig;
use herd_identity::{Credentials, StateIdentities};
use herd_model::Digest;
use herd_signing::SignaturePolicy;

/// Returns which guests and code a node accepts whose program has this guest inside. The start of its certificate is past even where the clock of
/// the host is not set yet.
pub(crate) fn signature_policy(config: &HerdConfig, built_in: Digest, credentials: &Credentials) -> SignaturePolicy {
    let past = credentials.certificate().validity().not_before;
    SignaturePolicy { past, ..config.swap.policy(built_in) }
}

/// Returns the same for a node that does not run. Reads its certificate; without one only the clock tells the time. Blocks.
pub(crate) fn stored_signature_policy(
    config: &HerdConfig,
    node: &str,
    built_in: Digest,
    state: &Path,
) -> SignaturePolicy {
    match StateIdentities::new(state, &config.herd).load(node) {
        Ok(credentials) => signature_policy(config, built_in, &credentials),
        Err(_) => config.swap.policy(built_in),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn policy_knows_that_the_start_of_the_certificate_is_past() {
        let state = tempfile::tempdir().unwrap();
        let config = HerdConfig::default();
        let policy = || stored_signature_policy(&config, "Riley", Digest::of(b"guest"), state.path());
        assert_eq!(policy().past, Duration::ZERO);
        let made = Duration::from_secs(1_800_000_000);
        let credentials = StateIdentities::new(state.path(), &config.herd).obtain("Riley", made).unwrap();
        assert_eq!(policy().past, credentials.certificate().validity().not_before);
        assert!(policy().past > made - Duration::from_secs(24 * 60 * 60));
    }
}
