//! The policy of a node: the keys of its configuration, and what it knows of the time.

use std::path::Path;

use herd_identity::StateIdentities;
use herd_model::Digest;
use herd_signing::SignaturePolicy;

use crate::config::HerdConfig;

/// Returns which guests and code a node accepts whose program has this guest inside. Reads its certificate, whose start is past even where the
/// clock of the host is not set yet. Blocks.
pub(crate) fn signature_policy(config: &HerdConfig, node: &str, built_in: Digest, state: &Path) -> SignaturePolicy {
    let credentials = StateIdentities::new(state, &config.herd).load(node);
    let past = credentials.map(|credentials| credentials.certificate().validity().not_before).unwrap_or_default();
    SignaturePolicy { past, ..config.swap.policy(built_in) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn policy_knows_that_the_start_of_the_certificate_is_past() {
        let state = tempfile::tempdir().unwrap();
        let config = HerdConfig::default();
        let policy = || signature_policy(&config, "Riley", Digest::of(b"guest"), state.path());
        assert_eq!(policy().past, Duration::ZERO);
        let made = Duration::from_secs(1_800_000_000);
        let credentials = StateIdentities::new(state.path(), &config.herd).obtain("Riley", made).unwrap();
        assert_eq!(policy().past, credentials.certificate().validity().not_before);
        assert!(policy().past > made - Duration::from_secs(24 * 60 * 60));
    }
}
