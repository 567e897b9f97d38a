//! Geo sets: members with their geohashes, as one run of bytes.
//!
//! Owns the encoding: for each member the length of its name in two bytes, the name, and its geohash in eight, big-endian. Members have the
//! order in which they were added. A look-up scans the set, which has at most [`PLACES_BYTES_MAX`]: 2,300 members take some 10 µs.

use crate::geohash::Geohash;

/// Bytes of a geo set. A write of one member writes the set, so it stays a small record.
pub(crate) const PLACES_BYTES_MAX: usize = (64 << 10) - 1;

/// Encoded geo set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places<'a> {
    entries: &'a [u8],
}

impl<'a> Places<'a> {
    /// Wraps an encoded set. What follows an error in the encoding has no members.
    pub(crate) fn new(entries: &'a [u8]) -> Self {
        Self { entries }
    }

    /// Returns whether the encoding has no errors.
    pub(crate) fn is_valid(self) -> bool {
        let mut at = 0;
        while let Some(entry) = self.entry(at) {
            at = entry.end;
        }
        at == self.entries.len()
    }

    /// Returns the encoding.
    pub(crate) fn entries(self) -> &'a [u8] {
        self.entries
    }

    /// Returns the geohash of a member.
    pub(crate) fn geohash(self, member: &[u8]) -> Option<Geohash> {
        self.find(member).map(|entry| entry.geohash)
    }

    fn find(self, member: &[u8]) -> Option<Entry<'a>> {
        let mut at = 0;
        while let Some(entry) = self.entry(at) {
            if entry.member == member {
                return Some(entry);
            }
            at = entry.end;
        }
        None
    }

    /// Returns the entry that begins at `at`. Returns none at the end.
    fn entry(self, at: usize) -> Option<Entry<'a>> {
        let (length, rest) = self.entries.get(at..)?.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (member, rest) = rest.split_at_checked(length)?;
        let (geohash, _) = rest.split_first_chunk::<GEOHASH_BYTES>()?;
        let end = at + LENGTH_BYTES + length + GEOHASH_BYTES;
        Some(Entry { member, geohash: Geohash(u64::from_be_bytes(*geohash)), end })
    }
}

struct Entry<'a> {
    member: &'a [u8],
    geohash: Geohash,
    /// Offset of the next entry.
    end: usize,
}

/// Members that `GEOADD` may place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Placing {
    /// New and known members.
    #[default]
    All,
    /// New members only (`NX`).
    New,
    /// Known members only (`XX`).
    Known,
}

/// Result of placing a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It is a new member.
    Added,
    /// It has another geohash than before.
    Moved,
    /// Nothing changed.
    Unchanged,
}

/// Places a member in the encoded set that a record holds from `start` on. Returns none if the set would exceed its limit; nothing
/// changed then.
pub(crate) fn place(
    record: &mut Vec<u8>,
    start: usize,
    member: &[u8],
    geohash: Geohash,
    placing: Placing,
) -> Option<Placed> {
    let known = Places::new(&record[start..]).find(member).map(|entry| (entry.geohash, start + entry.end));
    match known {
        Some((before, _)) if before == geohash || placing == Placing::New => Some(Placed::Unchanged),
        Some((_, end)) => {
            record[end - GEOHASH_BYTES..end].copy_from_slice(&geohash.0.to_be_bytes());
            Some(Placed::Moved)
        }
        None if placing == Placing::Known => Some(Placed::Unchanged),
        None => {
            let length = u16::try_from(member.len()).ok()?;
            if record.len() - start + LENGTH_BYTES + member.len() + GEOHASH_BYTES > PLACES_BYTES_MAX {
                return None;
            }
            record.extend_from_slice(&length.to_be_bytes());
            record.extend_from_slice(member);
            record.extend_from_slice(&geohash.0.to_be_bytes());
            Some(Placed::Added)
        }
    }
}

const LENGTH_BYTES: usize = 2;
const GEOHASH_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn set_agrees_with_a_map(steps in prop::collection::vec(("[a-f]{0,2}", 0..4_u64, 0..3_usize), 0..60)) {
            let (mut entries, mut map) = (vec![], BTreeMap::new());
            for (member, geohash, placing) in steps {
                let placing = [Placing::All, Placing::New, Placing::Known][placing];
                let known = map.get(&member).copied();
                let expected = match (known, placing) {
                    (None, Placing::Known) | (Some(_), Placing::New) => Placed::Unchanged,
                    (None, _) => Placed::Added,
                    (Some(before), _) if before == geohash => Placed::Unchanged,
                    (Some(_), _) => Placed::Moved,
                };
                if expected != Placed::Unchanged {
                    map.insert(member.clone(), geohash);
                }
                prop_assert_eq!(place(&mut entries, 0, member.as_bytes(), Geohash(geohash), placing), Some(expected));
                let places = Places::new(&entries);
                prop_assert!(places.is_valid());
                for (member, geohash) in &map {
                    prop_assert_eq!(places.geohash(member.as_bytes()), Some(Geohash(*geohash)));
                }
                prop_assert_eq!(entries.len(), map.keys().map(|member| member.len() + 10).sum::<usize>());
            }
        }
    }

    #[test]
    fn set_has_a_limit_of_64_kib_with_its_type() {
        let mut entries = vec![];
        let mut added = 0_u32;
        while place(&mut entries, 0, &added.to_be_bytes(), Geohash(1), Placing::All).is_some() {
            added += 1;
        }
        assert_eq!(added, PLACES_BYTES_MAX as u32 / 14);
        let full = entries.clone();
        assert_eq!(place(&mut entries, 0, &[b'x'; 99], Geohash(1), Placing::All), None);
        assert_eq!(entries, full);
        assert_eq!(place(&mut entries, 0, &[0; 4], Geohash(2), Placing::All), Some(Placed::Moved));
    }

    #[test]
    fn truncated_set_is_invalid() {
        let mut entries = vec![];
        place(&mut entries, 0, b"kiwi", Geohash(7), Placing::All).unwrap();
        for end in 1..entries.len() {
            assert!(!Places::new(&entries[..end]).is_valid());
        }
    }
}
