//! Handshakes in progress, counted in total and per address.
//!
//! A stranger holds a place until it has proved who it is or its time is up. When all places are taken, the oldest handshake gives way to a
//! new one, because an honest one is over within a few round trips: strangers that finish nothing keep no peer out. An address that has
//! all of its places gives way by itself. Bounds: [`HANDSHAKES_MAX`] and [`HANDSHAKES_OF_AN_ADDRESS_MAX`].

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// Places for handshakes.
#[derive(Default)]
pub(super) struct Handshakes(Arc<Mutex<Places>>);

#[derive(Default)]
struct Places {
    /// By their number, hence from the oldest on.
    taken: BTreeMap<u64, Place>,
    by_address: HashMap<IpAddr, usize>,
    begun: u64,
}

struct Place {
    address: IpAddr,
    /// Limit for which it is given up.
    gave_way: watch::Sender<Option<&'static str>>,
}

/// Place of one handshake, given back on drop.
pub(super) struct HandshakePermit {
    places: Arc<Mutex<Places>>,
    number: u64,
    gave_way: watch::Receiver<Option<&'static str>>,
}

impl Handshakes {
    /// Takes a place, if need be that of the oldest handshake.
    pub(super) fn begin(&self, address: IpAddr) -> HandshakePermit {
        let address = group(address);
        let mut places = self.0.lock();
        if places.by_address.get(&address).is_some_and(|&taken| taken == HANDSHAKES_OF_AN_ADDRESS_MAX) {
            // Few enough to look through, and only for an address that floods.
            let oldest = places.taken.iter().find(|(_, place)| place.address == address).map(|(&number, _)| number);
            places.give_up(oldest, "handshakes_per_address");
        } else if places.taken.len() == HANDSHAKES_MAX {
            let oldest = places.taken.keys().next().copied();
            places.give_up(oldest, "handshakes");
        }
        let number = places.begun;
        places.begun += 1;
        *places.by_address.entry(address).or_default() += 1;
        let (sender, gave_way) = watch::channel(None);
        places.taken.insert(number, Place { address, gave_way: sender });
        HandshakePermit { places: Arc::clone(&self.0), number, gave_way }
    }
}

impl Places {
    fn give_up(&mut self, number: Option<u64>, limit: &'static str) {
        if let Some(place) = number.and_then(|number| self.remove(number)) {
            place.gave_way.send_replace(Some(limit));
        }
    }

    fn remove(&mut self, number: u64) -> Option<Place> {
        let place = self.taken.remove(&number)?;
        if let Some(taken) = self.by_address.get_mut(&place.address) {
            *taken -= 1;
            if *taken == 0 {
                self.by_address.remove(&place.address);
            }
        }
        Some(place)
    }
}

impl HandshakePermit {
    /// Waits until the place has been given to a newer handshake, and returns the limit for which. Cancel safe.
    pub(super) fn gave_way(&self) -> impl Future<Output = &'static str> + use<> {
        let mut gave_way = self.gave_way.clone();
        async move {
            let limit = gave_way.wait_for(Option::is_some).await.ok().and_then(|limit| *limit);
            match limit {
                Some(limit) => limit,
                // The permit was given back.
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        // None if it gave way.
        self.places.lock().remove(self.number);
    }
}

/// Returns what counts as one address: of IPv6 a network of 64 bits, because each host has one.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

/// Handshakes in progress, each with a stranger: a socket, 32 KiB ([`herd_identity::HANDSHAKE_BYTES_MAX`]) and 5 seconds at most; 8 MiB
/// together.
const HANDSHAKES_MAX: usize = 256;
/// Of one address. All nodes of a herd on one machine may have the same.
const HANDSHAKES_OF_AN_ADDRESS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn limit(permit: &HandshakePermit) -> Option<&'static str> {
        permit.gave_way().now_or_never()
    }

    #[test]
    fn handshakes_are_bounded_and_the_oldest_gives_way() {
        let handshakes = Handshakes::default();
        let begin = |number: u8| handshakes.begin(IpAddr::from([10, 0, 0, number]));
        let others: Vec<_> = (2..=193).map(begin).collect();
        let of_one: Vec<_> = (0..=HANDSHAKES_OF_AN_ADDRESS_MAX).map(|_| begin(1)).collect();
        assert_eq!(limit(&of_one[0]), Some("handshakes_per_address"), "not the oldest of all");
        assert!(of_one[1..].iter().chain(&others).all(|permit| limit(permit).is_none()));
        let newest = begin(200);
        assert_eq!(limit(&others[0]), Some("handshakes"));
        assert!(others[1..].iter().chain([&newest]).all(|permit| limit(permit).is_none()));
        assert_eq!(handshakes.0.lock().taken.len(), HANDSHAKES_MAX);
        drop((of_one, others, newest));
        let places = handshakes.0.lock();
        assert!(places.taken.is_empty() && places.by_address.is_empty());
    }

    #[test]
    fn network_of_64_bits_counts_as_one_address() {
        let parse = |text: &str| group(text.parse().unwrap());
        assert_eq!(parse("2001:db8:1:2:3:4:5:6"), parse("2001:db8:1:2::9"));
        assert_ne!(parse("2001:db8:1:2::"), parse("2001:db8:1:3::"));
        assert_eq!(parse("::ffff:10.0.0.1"), parse("10.0.0.1"));
        assert_ne!(parse("10.0.0.1"), parse("10.0.0.2"));
    }
}
