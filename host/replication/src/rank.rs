//! Rank of a record: the total order that decides which record a key keeps.
//!
//! All nodes compare the same four fields, so they keep the same record in whatever order reports arrive. The order
//! reads no clock, and the bytes have a meaning only for the guest that wrote them.
//!
//! Bounds: none of its own. Effects of guests and reports of peers are checked before they are ranked.

use herd_model::Reign;

/// A record with its rank. Under one key the highest wins.
///
/// Fields are compared in the order of their declaration, byte strings lexicographically. Two ranks are equal only if
/// the records are, so an equal report is a duplicate.
///
/// ```rust
/// use herd_model::Reign;
/// use herd_replication::Rank;
///
/// let older = Rank { reign: Reign(0), rank: b"2014", record: b"AT Riley", form: 1 };
/// let newer = Rank { rank: b"2015", ..older };
/// assert!(newer > older);
/// // A higher reign wins whatever the rank is.
/// assert!(Rank { reign: Reign(1), rank: b"", ..older } > newer);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank<'a> {
    /// Reign of the key, compared first.
    pub reign: Reign,
    /// Rank that the guest gave.
    pub rank: &'a [u8],
    /// Record, which breaks a tie between equal ranks.
    pub record: &'a [u8],
    /// Form of the record. Compared last, so that two nodes cannot keep equal bytes in different forms.
    pub form: u32,
}

/// Rank of a record with the fields of its head on which nodes must agree too: the whole order.
///
/// One report that reaches two nodes may get two times of expiry. The later one is kept everywhere; without this order each node would
/// keep its own, and their digests would differ for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing<'a> {
    pub(crate) rank: Rank<'a>,
    pub(crate) tombstone: bool,
    /// Never comes last, as the highest.
    expires: u64,
}

impl<'a> Standing<'a> {
    /// Returns the time of expiry; 0 for never.
    pub(crate) fn expires_at(&self) -> u64 {
        self.expires.wrapping_add(1)
    }

    #[inline]
    pub(crate) fn new(rank: Rank<'a>, tombstone: bool, expires_at: u64) -> Self {
        // 0 stands for never; the subtraction makes it the highest.
        Self { rank, tombstone, expires: expires_at.wrapping_sub(1) }
    }
}
