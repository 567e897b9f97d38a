//! Stamp of a record: where and when in the history of the herd it was kept.
//!
//! Owns the numbers only. [`Lanes`](crate::Lanes) says what a lane stands for. Bounds: 2^48 records per lane.

/// Number of a lane within this process. Other processes number the same lane differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u32);

/// Identifies the keep of a record in the whole herd: a lane, and a number that counts the keeps in it from 1.
///
/// A node *covers* a stamp if it holds the record of that keep, or one that ranks higher under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The lane.
    pub lane: LaneId,
    /// Number of the keep in the lane, from 1 to [`Stamp::SEQ_MAX`].
    pub seq: u64,
}

impl Stamp {
    /// Highest sequence number: an entry of the table has room for 48 bits. At a million keeps a second a lane lasts nine years,
    /// and each start of a node begins new lanes.
    pub const SEQ_MAX: u64 = (1 << 48) - 1;
}

/// Start of a process of a node, which no other start shares.
///
/// The random part keeps two processes apart that run under one name, or that start from one copied directory. The time orders
/// the starts of a node; it is for people, and for forgetting the oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// Time of the start, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Random number.
    pub random: u64,
}

impl Epoch {
    /// Latest time of a start: some ten thousand years from now.
    pub const STARTED_MS_MAX: u64 = (1 << 48) - 1;
}
