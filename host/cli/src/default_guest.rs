//! The default guest in the program: the default logic as a component, and its machine code where the build compiles it.
//!
//! A build with machine code is one for small hosts (docs/edge.md), so it has both packed by zstd, at a third of their size. Bounds: a
//! quarter of a megabyte is unpacked once and kept, and half a megabyte of machine code each time that it is asked for.

/// Returns the default logic as a component, which serves unless another guest is configured.
#[must_use]
#[cfg(not(feature = "embedded-code"))]
pub fn default_guest() -> &'static [u8] {
    // A static: of a constant, each caller might get a copy in the program.
    static GUEST: &[u8] = include_bytes!(env!("HERD_DEFAULT_GUEST"));
    GUEST
}

/// Returns the default logic as a component, which serves unless another guest is configured.
#[must_use]
#[cfg(feature = "embedded-code")]
pub fn default_guest() -> &'static [u8] {
    static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.wasm.zst"));
    static UNPACKED: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| unpack(PACKED));
    &UNPACKED
}

/// Returns machine code of the default guest. None in a build that compiles it when it runs.
#[must_use]
pub fn default_guest_code() -> Option<Vec<u8>> {
    #[cfg(feature = "embedded-code")]
    {
        static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.code.zst"));
        Some(unpack(PACKED))
    }
    #[cfg(not(feature = "embedded-code"))]
    None
}

#[cfg(feature = "embedded-code")]
fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(packed).expect("the build script has packed it");
    let mut unpacked = Vec::with_capacity(decoder.decoder.content_size() as usize);
    std::io::Read::read_to_end(&mut decoder, &mut unpacked).expect("the build script has packed it");
    unpacked
}
