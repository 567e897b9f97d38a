//! Guests of a simulated herd: the default logic under several digests, of which some cannot serve.
//!
//! Knows nothing of what a node serves. Bounds: six guests of a few bytes.

use std::sync::Arc;

use herd_model::{Digest, SwapOptions};

/// Guests by number. The first is that of the configuration.
#[derive(Debug)]
pub(crate) struct Guests {
    bytes: Vec<Arc<[u8]>>,
    digests: Vec<Digest>,
}

impl Guests {
    /// Number of guests.
    pub(crate) const COUNT: usize = NAMES.len();
    /// Number of those, the first ones, that serve everywhere.
    pub(crate) const SOUND: usize = 3;
    /// Guest that does not load at any node.
    const UNLOADABLE: usize = 3;
    /// Guest that fails the rehearsal of every other node.
    const UNREHEARSED: usize = 4;
    /// Guest that faults where it serves.
    pub(crate) const FAULTY: usize = 5;

    pub(crate) fn new() -> Self {
        // Several chunks long, as a disk here reads them.
        let bytes: Vec<Arc<[u8]>> = NAMES.iter().map(|name| name.repeat(12).into_bytes().into()).collect();
        let digests = bytes.iter().map(|bytes| Digest::of(bytes)).collect();
        Self { bytes, digests }
    }

    pub(crate) fn bytes(&self, guest: usize) -> &Arc<[u8]> {
        &self.bytes[guest]
    }

    pub(crate) fn digest(&self, guest: usize) -> Digest {
        self.digests[guest]
    }

    /// Returns the number of a guest.
    pub(crate) fn number(&self, digest: Digest) -> Option<usize> {
        self.digests.iter().position(|other| *other == digest)
    }

    /// Returns why a node cannot serve a guest, by its number alone.
    pub(crate) fn refusal(node: usize, guest: usize, options: SwapOptions, rehearses: bool) -> Option<&'static str> {
        let is_rehearsed = rehearses && !options.unrehearsed && !options.force;
        match guest {
            Self::UNLOADABLE => Some("not checked: it does not load"),
            Self::UNREHEARSED if is_rehearsed && node % 2 == 1 => Some("not rehearsed: it faults"),
            _ => None,
        }
    }

    /// Returns whether no node can serve a guest.
    pub(crate) fn is_unloadable(guest: usize) -> bool {
        guest == Self::UNLOADABLE
    }
}

const NAMES: [&str; 6] = ["built-in", "second", "third", "unloadable", "unrehearsed", "faulty"];
