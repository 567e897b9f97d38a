//! Components that the tests serve, built by `build.rs`.

use std::path::Path;

include!(concat!(env!("OUT_DIR"), "/fixture.rs"));

impl Fixture {
    /// Path of the component.
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

/// Path of the default guest's component, as a file to swap to.
pub const DEFAULT_GUEST: &str = env!("HERD_TESTS_DEFAULT_GUEST");
/// A component with a module that is none.
pub const DAMAGED: &[u8] = b"\0asm\x0d\0\x01\0\x01\x04none";
/// A core module: its header alone is valid.
pub const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
/// Path of the smallest example, which greets with `hello, `.
pub const HELLO: &str = env!("HERD_TESTS_HELLO");
/// Path of the example that adds `WATCH` and `UNWATCH` to the default logic.
pub const WATCH: &str = env!("HERD_TESTS_WATCH");
/// Path of the example that speaks the redis protocol.
pub const RESP: &str = env!("HERD_TESTS_RESP");
