//! Where a guest is that a command takes: in a file, or in a registry.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use herd_registry::{Access, Artifact, BadReference, Reference, Registry};

use super::client_runtime::block_on;

/// A file, or `oci://HOST/REPOSITORY:TAG@sha256:DIGEST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GuestPlace {
    /// A file of this machine.
    File(PathBuf),
    /// A manifest of a registry.
    Registry(Reference),
}

/// Options for requests to registries.
#[derive(Clone, Debug, Args)]
pub(super) struct RegistryArgs {
    /// Reach a registry that is not on loopback over http. Credentials and guests can be read on the way; a digest still names only one guest.
    #[arg(long)]
    plain_http: bool,
    /// Host that may be sent the credentials of a registry in exchange for a token, besides the registry itself. Repeatable.
    #[arg(long, value_name = "HOST")]
    token_host: Vec<String>,
}

impl GuestPlace {
    /// Returns what turns an argument into a place.
    pub(super) fn parser() -> impl TypedValueParser<Value = Self> {
        OsStringValueParser::new().try_map(Self::of)
    }

    fn of(text: OsString) -> Result<Self, BadReference> {
        match text.to_str().filter(|text| text.starts_with("oci:")) {
            Some(reference) => reference.parse().map(Self::Registry),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for GuestPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}

impl RegistryArgs {
    /// Prepares requests to the registry of a reference.
    ///
    /// # Errors
    ///
    /// As [`Registry::new`].
    pub(super) fn registry(&self, reference: &Reference) -> anyhow::Result<Registry> {
        let access = Access { plain_http: self.plain_http, token_hosts: self.token_host.clone() };
        Ok(Registry::new(reference, &access)?)
    }

    /// Pulls a guest by its digest.
    ///
    /// # Errors
    ///
    /// As [`Registry::pull`].
    pub(super) fn pull(&self, reference: &Reference) -> anyhow::Result<Artifact> {
        let mut registry = self.registry(reference)?;
        Ok(block_on(Box::pin(async { registry.pull().await }))??)
    }

    /// Pulls what a reference names, or its tag names now, and returns it with the digest.
    ///
    /// # Errors
    ///
    /// As [`Registry::pull`].
    pub(super) fn pull_current(&self, reference: &Reference) -> anyhow::Result<(Reference, Artifact)> {
        let mut registry = self.registry(reference)?;
        let resolved = block_on(Box::pin(async { registry.resolve().await }))??;
        let artifact = self.pull(&resolved)?;
        Ok((resolved, artifact))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_place_is_a_file_unless_it_is_a_reference() {
        let place = |text: &str| GuestPlace::of(text.into());
        assert_eq!(place("guest.wasm"), Ok(GuestPlace::File("guest.wasm".into())));
        assert_eq!(place("oci/guest.wasm"), Ok(GuestPlace::File("oci/guest.wasm".into())));
        assert!(matches!(place("oci://h/r:1"), Ok(GuestPlace::Registry(_))));
        assert_eq!(place("oci:h/r:1"), Err(BadReference::Scheme));
    }
}
