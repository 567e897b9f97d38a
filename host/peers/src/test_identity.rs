//! Identities for tests: an authority of one herd, and its nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herd_identity::{Authority, Clock, Credentials, Identity, Role};

/// Authority of a herd in a scratch directory.
pub(crate) struct TestAuthority {
    pub(crate) authority: Authority,
    /// Seconds by which all clocks have gone on since [`NOW`].
    pub(crate) elapsed_s: Arc<AtomicU64>,
    _directory: tempfile::TempDir,
}

impl TestAuthority {
    pub(crate) fn of(herd: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::create(&directory.path().join("authority"), herd, LIFETIME * 10, NOW).unwrap();
        Self { authority, elapsed_s: Arc::default(), _directory: directory }
    }

    pub(crate) fn issue(&mut self, node: &str) -> Arc<Identity> {
        self.member(&Role::Node(node.into()))
    }

    pub(crate) fn issue_operator(&mut self, name: &str) -> Arc<Identity> {
        self.member(&Role::Operator(name.into()))
    }

    /// Begins a roll-over to another authority.
    pub(crate) fn roll(&mut self) {
        self.authority.roll(LIFETIME * 10, NOW).unwrap();
    }

    /// Issues what a running node takes in the place of its certificate.
    pub(crate) fn credentials(&mut self, node: &str) -> Credentials {
        self.authority.issue(&Role::Node(node.into()), LIFETIME, self.now()).unwrap()
    }

    fn now(&self) -> Duration {
        NOW + Duration::from_secs(self.elapsed_s.load(Ordering::SeqCst))
    }

    fn member(&mut self, role: &Role) -> Arc<Identity> {
        let credentials = self.authority.issue(role, LIFETIME, NOW).unwrap();
        let elapsed_s = Arc::clone(&self.elapsed_s);
        let clock = Clock::new(move || NOW + Duration::from_secs(elapsed_s.load(Ordering::SeqCst)));
        Arc::new(Identity::new(credentials, clock).unwrap())
    }

    pub(crate) fn revoke(&mut self, node: &str) {
        self.authority.revoke(&Role::Node(node.into()), NOW).unwrap();
    }

    pub(crate) fn revoke_operator(&mut self, name: &str) {
        self.authority.revoke(&Role::Operator(name.into()), NOW).unwrap();
    }
}

/// Time at which all clocks here start, since the Unix epoch.
pub(crate) const NOW: Duration = Duration::from_secs(1_795_715_122);
pub(crate) const LIFETIME: Duration = Duration::from_secs(365 * 86_400);
