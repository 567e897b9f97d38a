//! Handshakes in progress, counted in total and per address.
//!
//! A stranger holds a place until it has proved who it is or its time is up. When all places are taken, a handshake gives way to a new one:
//! the oldest, because an honest one is over within a few round trips, so that strangers that finish nothing keep no peer out. If even that has
//! just begun, strangers come faster than an honest one is over, and one by chance gives way: some of the honest ones pass. An address that
//! has all of its places gives way by itself. Bounds: [`HANDSHAKES_MAX`] and [`HANDSHAKES_OF_AN_ADDRESS_MAX`].

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    began: Instant,
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
    /// Takes a place, if need be that of another handshake.
    pub(super) fn begin(&self, address: IpAddr) -> HandshakePermit {
        self.begin_at(address, Instant::now())
    }

    fn begin_at(&self, address: IpAddr, now: Instant) -> HandshakePermit {
        let address = group(address);
        let mut places = self.0.lock();
        if places.by_address.get(&address).is_some_and(|&taken| taken == HANDSHAKES_OF_AN_ADDRESS_MAX) {
            let number = places.dispensable(Some(address), now);
            places.give_up(number, "handshakes_per_address");
        } else if places.taken.len() == HANDSHAKES_MAX {
            let number = places.dispensable(None, now);
            places.give_up(number, "handshakes");
        }
        let number = places.begun;
        places.begun += 1;
        *places.by_address.entry(address).or_default() += 1;
        let (sender, gave_way) = watch::channel(None);
        places.taken.insert(number, Place { address, began: now, gave_way: sender });
        HandshakePermit { places: Arc::clone(&self.0), number, gave_way }
    }
}

impl Places {
    /// Returns the number of the handshake that is to give way, among those of an address or among all. There are few enough to look
    /// through, and it is needed under a flood only.
    fn dispensable(&self, address: Option<IpAddr>, now: Instant) -> Option<u64> {
        let mut taken = self.taken.iter().filter(|(_, place)| address.is_none_or(|address| place.address == address));
        let (&oldest, place) = taken.next()?;
        if now.saturating_duration_since(place.began) >= HONEST_MAX {
            return Some(oldest);
        }
        let others = taken.clone().count();
        match rand::random_range(0..=others) {
            0 => Some(oldest),
            nth => taken.nth(nth - 1).map(|(&number, _)| number),
        }
    }

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

/// Time in which an honest handshake is over, also between continents and on a busy host.
const HONEST_MAX: Duration = Duration::from_millis(500);
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
        let start = Instant::now();
        let begin = |number: u8| handshakes.begin_at(IpAddr::from([10, 0, 0, number]), start);
        let others: Vec<_> = (2..=193).map(begin).collect();
        let begin_later = |number: u8| handshakes.begin_at(IpAddr::from([10, 0, 0, number]), start + HONEST_MAX);
        let mut of_one: Vec<_> = (0..HANDSHAKES_OF_AN_ADDRESS_MAX).map(|_| begin(1)).collect();
        of_one.push(begin_later(1));
        assert_eq!(limit(&of_one[0]), Some("handshakes_per_address"), "not the oldest of all");
        assert!(of_one[1..].iter().chain(&others).all(|permit| limit(permit).is_none()));
        let newest = begin_later(200);
        assert_eq!(limit(&others[0]), Some("handshakes"));
        assert!(others[1..].iter().chain([&newest]).all(|permit| limit(permit).is_none()));
        assert_eq!(handshakes.0.lock().taken.len(), HANDSHAKES_MAX);
        drop((of_one, others, newest));
        let places = handshakes.0.lock();
        assert!(places.taken.is_empty() && places.by_address.is_empty());
    }

    /// Goal: a flood that is faster than an honest handshake does not displace each of them for certain. Method: one handshake, and as many
    /// behind it as displace the oldest for certain; it outlasts them sometimes. That it never does in a thousand turns has a probability
    /// of less than 1e-100.
    #[test]
    fn handshake_outlasts_a_fast_flood_by_chance() {
        let start = Instant::now();
        let outlasts = |_: &u32| {
            let handshakes = Handshakes::default();
            let begin = || handshakes.begin_at(IpAddr::from([10, 0, 0, 1]), start);
            let honest = begin();
            let _flood: Vec<_> = (0..2 * HANDSHAKES_OF_AN_ADDRESS_MAX - 1).map(|_| begin()).collect();
            limit(&honest).is_none()
        };
        let outlasted = (0..1000_u32).filter(outlasts).count();
        assert!(outlasted > 0 && outlasted < 1000, "{outlasted}");
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
