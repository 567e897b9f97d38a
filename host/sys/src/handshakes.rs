//! Handshakes in progress with strangers, counted in total and per address.
//!
//! A stranger holds a place until it has proved who it is or its time is up. When all places are taken, a handshake gives way to a new one:
//! the oldest, because an honest one is over within a few round trips, so that strangers that finish nothing keep nobody out. If even that
//! has just begun, strangers come faster than an honest one is over, and one by chance gives way: some of the honest ones pass. An address
//! that has all of its places gives way by itself.
//!
//! Knows no sockets and performs no handshake. Bounds: [`HandshakeLimits`].

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::address_group::address_group;

/// Places for the handshakes of one listener.
///
/// ```
/// use std::time::Duration;
///
/// use herd_sys::{HandshakeLimit, HandshakeLimits, Handshakes};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let limits = HandshakeLimits { total_max: 512, of_address_max: 1, honest_max: Duration::ZERO };
/// let handshakes = Handshakes::new(limits);
/// let client = "192.0.2.7".parse()?;
/// let (older, _newer) = (handshakes.begin(Some(client)), handshakes.begin(Some(client)));
/// assert_eq!(older.gave_way().await, HandshakeLimit::OfAddress);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Handshakes {
    limits: HandshakeLimits,
    places: Arc<Mutex<Places>>,
}

/// Bounds of the handshakes of one listener.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeLimits {
    /// Handshakes in progress.
    pub total_max: usize,
    /// The same of one address.
    pub of_address_max: usize,
    /// Time in which an honest handshake is over, however far and busy the hosts are. A younger one gives way by chance only.
    pub honest_max: Duration,
}

/// Limit for which a handshake gave way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeLimit {
    /// [`total_max`](HandshakeLimits::total_max).
    Total,
    /// [`of_address_max`](HandshakeLimits::of_address_max).
    OfAddress,
}

#[derive(Debug, Default)]
struct Places {
    /// By their number, hence from the oldest on.
    taken: BTreeMap<u64, Place>,
    by_address: HashMap<IpAddr, usize>,
    begun: u64,
}

#[derive(Debug)]
struct Place {
    /// Group of its address. None: it counts in total only.
    address: Option<IpAddr>,
    began: Instant,
    gave_way: watch::Sender<Option<HandshakeLimit>>,
}

/// Place of one handshake, given back on drop.
#[derive(Debug)]
pub struct HandshakePermit {
    places: Arc<Mutex<Places>>,
    number: u64,
    gave_way: watch::Receiver<Option<HandshakeLimit>>,
}

impl Handshakes {
    /// Creates the places. None is taken.
    #[must_use]
    pub fn new(limits: HandshakeLimits) -> Self {
        Self { limits, places: Arc::default() }
    }

    /// Takes a place, if need be that of another handshake. Without an address it counts in total only.
    pub fn begin(&self, address: Option<IpAddr>) -> HandshakePermit {
        self.begin_at(address, Instant::now())
    }

    fn begin_at(&self, address: Option<IpAddr>, now: Instant) -> HandshakePermit {
        let address = address.map(address_group);
        let mut places = self.places.lock();
        let of_address = address.and_then(|address| places.by_address.get(&address));
        if of_address.is_some_and(|&taken| taken >= self.limits.of_address_max) {
            let number = places.dispensable(address, now, self.limits.honest_max);
            places.give_up(number, HandshakeLimit::OfAddress);
        } else if places.taken.len() >= self.limits.total_max {
            let number = places.dispensable(None, now, self.limits.honest_max);
            places.give_up(number, HandshakeLimit::Total);
        }
        let number = places.begun;
        places.begun += 1;
        if let Some(address) = address {
            *places.by_address.entry(address).or_default() += 1;
        }
        let (sender, gave_way) = watch::channel(None);
        places.taken.insert(number, Place { address, began: now, gave_way: sender });
        HandshakePermit { places: Arc::clone(&self.places), number, gave_way }
    }
}

impl Places {
    /// Returns the number of the handshake that is to give way, among those of an address or among all. There are few enough to look
    /// through, and it is needed under a flood only.
    fn dispensable(&self, of: Option<IpAddr>, now: Instant, honest_max: Duration) -> Option<u64> {
        let mut taken = self.taken.iter().filter(|(_, place)| of.is_none() || place.address == of);
        let (&oldest, place) = taken.next()?;
        if now.saturating_duration_since(place.began) >= honest_max {
            return Some(oldest);
        }
        let others = taken.clone().count();
        match rand::random_range(0..=others) {
            0 => Some(oldest),
            nth => taken.nth(nth - 1).map(|(&number, _)| number),
        }
    }

    fn give_up(&mut self, number: Option<u64>, limit: HandshakeLimit) {
        if let Some(place) = number.and_then(|number| self.remove(number)) {
            place.gave_way.send_replace(Some(limit));
        }
    }

    fn remove(&mut self, number: u64) -> Option<Place> {
        let place = self.taken.remove(&number)?;
        if let Some(address) = place.address
            && let Some(taken) = self.by_address.get_mut(&address)
        {
            *taken -= 1;
            if *taken == 0 {
                self.by_address.remove(&address);
            }
        }
        Some(place)
    }
}

impl HandshakePermit {
    /// Waits until the place has been given to a newer handshake, and returns the limit for which. Cancel safe.
    pub fn gave_way(&self) -> impl Future<Output = HandshakeLimit> + use<> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HandshakeLimits =
        HandshakeLimits { total_max: 256, of_address_max: 64, honest_max: Duration::from_millis(500) };

    fn address(number: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, number]))
    }

    fn limit(permit: &HandshakePermit) -> Option<HandshakeLimit> {
        *permit.gave_way.borrow()
    }

    #[test]
    fn handshakes_are_bounded_and_the_oldest_gives_way() {
        let handshakes = Handshakes::new(LIMITS);
        let start = Instant::now();
        let begin = |number| handshakes.begin_at(address(number), start);
        let others: Vec<_> = (2..=193).map(begin).collect();
        let begin_later = |number| handshakes.begin_at(address(number), start + LIMITS.honest_max);
        let mut of_one: Vec<_> = (0..LIMITS.of_address_max).map(|_| begin(1)).collect();
        of_one.push(begin_later(1));
        assert_eq!(limit(&of_one[0]), Some(HandshakeLimit::OfAddress), "not the oldest of all");
        assert!(of_one[1..].iter().chain(&others).all(|permit| limit(permit).is_none()));
        let newest = begin_later(200);
        assert_eq!(limit(&others[0]), Some(HandshakeLimit::Total));
        assert!(others[1..].iter().chain([&newest]).all(|permit| limit(permit).is_none()));
        assert_eq!(handshakes.places.lock().taken.len(), LIMITS.total_max);
        drop((of_one, others, newest));
        let places = handshakes.places.lock();
        assert!(places.taken.is_empty() && places.by_address.is_empty());
    }

    #[test]
    fn handshakes_without_an_address_count_in_total_only() {
        let handshakes = Handshakes::new(LIMITS);
        let start = Instant::now();
        let all: Vec<_> = (0..LIMITS.total_max).map(|_| handshakes.begin_at(None, start)).collect();
        assert!(all.iter().all(|permit| limit(permit).is_none()));
        let _newest = handshakes.begin_at(None, start + LIMITS.honest_max);
        assert_eq!(limit(&all[0]), Some(HandshakeLimit::Total));
        assert!(all[1..].iter().all(|permit| limit(permit).is_none()));
    }

    /// Goal: a flood that is faster than an honest handshake does not displace each of them for certain. Method: one handshake, and as many
    /// behind it as displace the oldest for certain; it outlasts them sometimes. That it never does in a thousand turns has a probability
    /// of less than 1e-100.
    #[test]
    fn handshake_outlasts_a_fast_flood_by_chance() {
        let start = Instant::now();
        let outlasts = |_: &u32| {
            let handshakes = Handshakes::new(LIMITS);
            let begin = || handshakes.begin_at(address(1), start);
            let honest = begin();
            let _flood: Vec<_> = (0..2 * LIMITS.of_address_max - 1).map(|_| begin()).collect();
            limit(&honest).is_none()
        };
        let outlasted = (0..1000_u32).filter(outlasts).count();
        assert!(outlasted > 0 && outlasted < 1000, "{outlasted}");
    }
}
