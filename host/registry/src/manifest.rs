//! The artifact of a guest: its manifest and its configuration, written and read.
//!
//! The layout is that of <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>. Bounds: [`MANIFEST_BYTES_MAX`]; one layer; a
//! guest, signatures and transcripts of the sizes that nodes take.

use herd_model::limits::{GUEST_BYTES_MAX, SIGNATURES_BYTES_MAX, TRANSCRIPTS_BYTES_MAX};
use herd_model::{Digest, GuestFiles};
use serde_json::{Value, json};

use crate::artifact::Interfaces;
use crate::reference::parse_digest;

/// Manifest of a guest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) guest: Digest,
    pub(crate) guest_bytes: usize,
    pub(crate) signatures: Option<Vec<u8>>,
    pub(crate) transcripts: Option<Vec<u8>>,
}

/// Bytes have the digest of a manifest and are not that of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadManifest {
    /// It is no JSON object.
    #[error("its manifest is no JSON")]
    NotJson,
    /// It lists images of several platforms, or is of an older kind.
    #[error("it is no single artifact ({MANIFEST_TYPE}): name one that its list has")]
    NotOne,
    /// It is an image or another artifact.
    #[error("its configuration is not of the type {CONFIG_TYPE}, so it is another kind of artifact")]
    NotWasm,
    /// It has no layer, several, or one of another kind.
    #[error("it does not have exactly one layer, of the type {LAYER_TYPE}")]
    Layers,
    /// The layer has no digest of the kind sha256.
    #[error("its layer has no sha256 digest")]
    LayerDigest,
    /// The layer has no size, or more than a guest has.
    #[error("its layer states no size, or more than the {GUEST_BYTES_MAX} bytes that a guest has at most")]
    LayerSize,
    /// Signatures or transcripts are longer than nodes take.
    #[error("its signatures or its transcripts are no text, or longer than nodes take")]
    Annotations,
}

impl Manifest {
    /// Parses a manifest, whose digest the caller has verified.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BadManifest> {
        let manifest: Value = serde_json::from_slice(bytes).map_err(|_| BadManifest::NotJson)?;
        // The field may be missing, as the specification allows; an index has another type and no layers.
        if manifest["schemaVersion"] != 2 || !matches!(manifest["mediaType"].as_str(), None | Some(MANIFEST_TYPE)) {
            return Err(BadManifest::NotOne);
        }
        if manifest["config"]["mediaType"] != CONFIG_TYPE {
            return Err(BadManifest::NotWasm);
        }
        let layer = match manifest["layers"].as_array().map(Vec::as_slice) {
            Some([layer]) if layer["mediaType"] == LAYER_TYPE => layer,
            _ => return Err(BadManifest::Layers),
        };
        let digest = layer["digest"].as_str().and_then(|digest| parse_digest(digest).ok());
        let size = layer["size"].as_u64().and_then(|size| usize::try_from(size).ok());
        let annotation = |name: &str, bytes_max: usize| match &manifest["annotations"][name] {
            Value::Null => Ok(None),
            Value::String(text) if text.len() <= bytes_max => Ok(Some(text.clone().into_bytes())),
            _ => Err(BadManifest::Annotations),
        };
        Ok(Self {
            guest: digest.ok_or(BadManifest::LayerDigest)?,
            guest_bytes: size.filter(|size| *size <= GUEST_BYTES_MAX).ok_or(BadManifest::LayerSize)?,
            signatures: annotation(SIGNATURES, SIGNATURES_BYTES_MAX)?,
            transcripts: annotation(TRANSCRIPTS, TRANSCRIPTS_BYTES_MAX)?,
        })
    }

    /// Writes the manifest of a guest. The same files make the same manifest, so a second push moves no tag.
    pub(crate) fn write(files: GuestFiles<'_>, config: &[u8]) -> Vec<u8> {
        let mut annotations = serde_json::Map::new();
        for (name, text) in [(SIGNATURES, files.signatures), (TRANSCRIPTS, files.transcripts)] {
            if let Some(text) = text {
                annotations.insert(name.into(), String::from_utf8_lossy(text).into());
            }
        }
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, config),
            "layers": [descriptor(LAYER_TYPE, files.guest)],
        });
        if !annotations.is_empty() {
            manifest["annotations"] = annotations.into();
        }
        manifest.to_string().into_bytes()
    }
}

/// Writes the configuration of the artifact of a guest.
pub(crate) fn config_of(guest: &[u8], interfaces: &Interfaces) -> Vec<u8> {
    let config = json!({
        // Required. Not the time of the push, which would make each push another artifact.
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [format!("sha256:{}", Digest::of(guest))],
        "component": { "imports": interfaces.imports, "exports": interfaces.exports, "target": null },
    });
    config.to_string().into_bytes()
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": format!("sha256:{}", Digest::of(bytes)), "size": bytes.len() })
}

/// Type of a manifest.
pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// As registries limit it.
pub(crate) const MANIFEST_BYTES_MAX: usize = 4 << 20;

const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_TYPE: &str = "application/wasm";
const SIGNATURES: &str = "herd.signatures";
const TRANSCRIPTS: &str = "herd.transcripts";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest() -> Value {
        let files = GuestFiles { signatures: Some(b"signed"), ..GuestFiles::from(b"guest".as_slice()) };
        serde_json::from_slice(&Manifest::write(files, &config_of(b"guest", &Interfaces::default()))).unwrap()
    }

    fn parse(manifest: &Value) -> Result<Manifest, BadManifest> {
        Manifest::parse(manifest.to_string().as_bytes())
    }

    #[test]
    fn manifest_is_read_as_it_was_written() {
        let read = parse(&manifest()).unwrap();
        assert_eq!((read.guest, read.guest_bytes), (Digest::of(b"guest"), 5));
        assert_eq!((read.signatures.as_deref(), read.transcripts), (Some(b"signed".as_slice()), None));
        assert_eq!(manifest(), manifest(), "a second push moves no tag");
    }

    #[test]
    fn manifest_of_something_else_is_refused_with_the_reason() {
        let index = "application/vnd.oci.image.index.v1+json";
        let layer = manifest()["layers"][0].clone();
        for (pointer, value, why) in [
            ("/schemaVersion", json!(1), BadManifest::NotOne),
            ("/mediaType", json!(index), BadManifest::NotOne),
            ("/config/mediaType", json!("application/vnd.oci.image.config.v1+json"), BadManifest::NotWasm),
            ("/layers", json!([]), BadManifest::Layers),
            ("/layers", json!([layer, layer]), BadManifest::Layers),
            ("/layers/0/mediaType", json!("application/tar"), BadManifest::Layers),
            ("/layers/0/digest", json!("sha512:00"), BadManifest::LayerDigest),
            ("/layers/0/size", json!(GUEST_BYTES_MAX + 1), BadManifest::LayerSize),
            ("/layers/0/size", json!(-1), BadManifest::LayerSize),
            ("/annotations/herd.signatures", json!(1), BadManifest::Annotations),
            ("/annotations/herd.signatures", json!("x".repeat(SIGNATURES_BYTES_MAX + 1)), BadManifest::Annotations),
        ] {
            let mut changed = manifest();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert_eq!(parse(&changed), Err(why), "{pointer}");
        }
        assert_eq!(Manifest::parse(b"<html>"), Err(BadManifest::NotJson));
    }

    proptest! {
        #[test]
        fn manifest_parsing_never_panics(cut in 0..600_usize, at in 0..600_usize, byte in any::<u8>()) {
            let mut bytes = manifest().to_string().into_bytes();
            let (cut, at) = (cut.min(bytes.len()), at.min(bytes.len() - 1));
            let _ = Manifest::parse(&bytes[..cut]);
            bytes[at] = byte;
            let _ = Manifest::parse(&bytes);
        }
    }
}
