//! Guests in OCI registries: `herd push` stores one, `herd swap oci://...` takes one by its digest.
//!
//! The artifact is that of the WebAssembly working group of the CNCF: a manifest, a configuration that lists imports and exports, and one layer
//! with the component, so that other tools pull it too. Signatures and transcripts are annotations of the manifest; docs/registry.md says why.
//!
//! Owns references, the manifest, credentials and the requests. Knows nothing of herds, of nodes, and of what a component is: it sees bytes.
//! Everything that a registry answers is treated as a stranger's: a manifest counts if its bytes have the digest that the operator named,
//! and a guest if it has the size and the digest of the manifest.
//!
//! Bounds: the bytes and the time of every answer, redirects, and the time of a credential helper. Credentials go to the registry that the
//! operator named, and to the service for its tokens if that is on the same host or a host that the operator named.
//!
//! # Example
//!
//! ```
//! use herd_registry::Reference;
//!
//! let pushed: Reference = "oci://registry.example/team/guest:1.2".parse()?;
//! assert_eq!((pushed.tag(), pushed.digest()), (Some("1.2"), None));
//! assert!("oci://registry.example/team/guest".parse::<Reference>().is_err());
//! # Ok::<(), herd_registry::BadReference>(())
//! ```

mod access;
mod artifact;
mod challenge;
mod credentials;
mod error;
mod http;
mod manifest;
mod reference;
mod registry;
mod secret;

pub use access::Access;
pub use artifact::{Artifact, Interfaces};
pub use error::RegistryError;
pub use manifest::BadManifest;
pub use reference::{BadReference, Reference};
pub use registry::Registry;
