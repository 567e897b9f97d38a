//! The addresses that clients connect from, and what each of them may still do.
//!
//! An address is counted while it has sessions, and remembered until its rates are met: one that comes back at once has no new
//! burst. IPv6 addresses count by their /64, because one subscriber has as many of them as it likes.
//!
//! Owns the counts and the buckets. Reads no clock. The table is locked when a session begins or ends, never per line; a session
//! holds the buckets that its reads charge. Bounds: addresses without sessions ([`REMEMBERED_MAX`]), besides those of the sessions.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use herd_sys::address_group;
use parking_lot::Mutex;

use super::pace::{AddressBuckets, Pace};
use super::token_bucket::{Rate, TokenBucket};
use crate::limits::SessionLimits;
use crate::refusals::Refusal;

/// The addresses of all clients of a node.
pub(crate) struct Addresses {
    limits: SessionLimits,
    connections: Option<Rate>,
    /// Zero of the times of the buckets.
    began: Instant,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<IpAddr, Entry>,
}

/// One address.
#[derive(Default)]
struct Entry {
    sessions: usize,
    connections: TokenBucket,
    /// None without a limit on lines and bytes.
    buckets: Option<Arc<AddressBuckets>>,
}

/// An address with a session, as the table names it. None: the address is exempt and not in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedAddress(Option<IpAddr>);

impl CountedAddress {
    /// Returns the address by which it is counted, unless it is exempt.
    pub(crate) fn ip(self) -> Option<IpAddr> {
        self.0
    }
}

impl Addresses {
    pub(crate) fn new(limits: &SessionLimits, now: Instant) -> Self {
        let connections = limits.per_address.connections();
        Self { limits: limits.clone(), connections, began: now, table: Mutex::default() }
    }

    /// Counts a new session of an address. Returns its pace, which begins with what the address still owes.
    ///
    /// # Errors
    ///
    /// The address is not allowed or at a limit. Nothing was counted.
    pub(crate) fn enter(&self, address: IpAddr, now: Instant) -> Result<(CountedAddress, Pace), Refusal> {
        let limits = &self.limits.per_address;
        if !limits.allow.is_empty() && !limits.allow.iter().any(|network| network.contains(address)) {
            return Err(Refusal::NotAllowed);
        }
        if limits.exempt.iter().any(|network| network.contains(address)) {
            return Ok((CountedAddress(None), Pace::default()));
        }
        let (key, now_ns) = (address_group(address), self.nanoseconds(now));
        let mut table = self.table.lock();
        table.make_room(self.limits.sessions_max, now_ns);
        let entry = table.entries.entry(key).or_insert_with(|| Entry::new(AddressBuckets::new(limits, self.began)));
        if entry.sessions >= self.limits.sessions_per_address_max {
            return Err(Refusal::SessionsOfAddress);
        }
        if self.connections.is_some_and(|rate| !entry.connections.take_one(rate, now_ns)) {
            return Err(Refusal::ConnectionRate);
        }
        entry.sessions += 1;
        Ok((CountedAddress(Some(key)), Pace::new(entry.buckets.clone(), now)))
    }

    /// Counts the end of a session.
    pub(crate) fn leave(&self, address: CountedAddress, now: Instant) {
        let Some(key) = address.0 else { return };
        let now_ns = self.nanoseconds(now);
        let mut table = self.table.lock();
        if let Some(entry) = table.entries.get_mut(&key) {
            entry.sessions -= 1;
            if entry.is_at_rest(now_ns) {
                table.entries.remove(&key);
            }
        }
    }

    fn nanoseconds(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Table {
    /// Forgets addresses before one more would be too many. Each scan leaves room for half of [`REMEMBERED_MAX`], so a connection pays
    /// for a few entries on average.
    fn make_room(&mut self, sessions_max: usize, now_ns: u64) {
        let max = sessions_max.saturating_add(REMEMBERED_MAX);
        if self.entries.len() < max {
            return;
        }
        self.entries.retain(|_, entry| !entry.is_at_rest(now_ns));
        // All of them owe something: whoever has so many addresses has as many bursts anyway.
        if self.entries.len() > max - REMEMBERED_MAX / 2 {
            self.entries.retain(|_, entry| entry.sessions > 0);
        }
    }
}

impl Entry {
    fn new(buckets: Option<Arc<AddressBuckets>>) -> Self {
        Self { buckets, ..Self::default() }
    }

    /// Returns whether it is like that of an address that was never seen.
    fn is_at_rest(&self, now_ns: u64) -> bool {
        let owes_nothing = self.buckets.as_ref().is_none_or(|buckets| buckets.are_full(now_ns));
        self.sessions == 0 && self.connections.is_full(now_ns) && owes_nothing
    }
}

/// Addresses without sessions that are remembered because they owe something: some 10 MiB.
const REMEMBERED_MAX: usize = 65_536;

#[cfg(test)]
mod tests;
