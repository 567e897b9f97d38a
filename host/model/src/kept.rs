//! Outcomes of a keep, what its reply waits for, and the reign of a key.

use serde::{Deserialize, Serialize};

/// Outcome of a keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Kept {
    /// The record won and is kept, in this reign.
    Applied(Reign),
    /// The present record ranks as high or higher. Nothing changed.
    Outranked,
    /// The record would exceed the limits of this node. Nothing changed. Only for records from clients; those from peers are always
    /// kept.
    NoRoom,
    /// The node cannot write its log, so it takes no new record. Nothing changed. Only for records from clients.
    NotStored,
}

/// A keep of a client's record: its outcome, and what has to pass before the client may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Keeping {
    /// Outcome, as the table has it now.
    pub kept: Kept,
    /// Conditions of the reply. For a record that was outranked, those of the record that outranks it.
    pub ticket: Ticket,
}

/// Conditions that a reply waits for: a position of the node's log, and the coverage of a stamp by peers.
///
/// Opaque to sessions, which only pass it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticket {
    /// Bytes of the log up to the end of the record.
    pub position: u64,
    /// Lane of the record's stamp, by its number in this process.
    pub lane: u32,
    /// Sequence number in that lane.
    pub seq: u64,
}

/// State of the conditions that a ticket names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Confirmation {
    /// The record is as durable, and at as many peers, as the configuration asks.
    Confirmed,
    /// Not yet.
    Pending,
    /// It cannot become so: the log could not be written. The record is perhaps kept.
    Failed,
}

/// Number of times that a key was forgotten. A record of a higher reign wins whatever its rank, so no forgotten record returns.
/// Guests never see it: a keep inherits the reign of its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reign(pub u64);
