//! The components that the tests serve. `build.rs` has built them.

use std::path::Path;

include!(concat!(env!("OUT_DIR"), "/fixture.rs"));

impl Fixture {
    /// The component.
    #[must_use]
    pub fn path(self) -> &'static Path {
        Path::new(self.location())
    }
}

impl AsRef<Path> for Fixture {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

/// The default guest, as a file to swap to.
pub const DEFAULT_GUEST: &str = env!("HERD_TESTS_DEFAULT_GUEST");
/// The smallest example.
pub const HELLO: &str = env!("HERD_TESTS_HELLO");
/// The example that adds commands to the default logic.
pub const WATCH: &str = env!("HERD_TESTS_WATCH");
