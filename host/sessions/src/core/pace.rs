//! The pace of a session: the wait that the rates of its address impose.
//!
//! Each read is charged once, for its bytes and lines. Once the address is in debt, the session reads nothing until the debts up to
//! and including its own are paid. So the sessions of an address take turns in the order of their reads, and together meet the rate.
//!
//! Owns the wait. Reads no clock and sets no timer. Costs an address without limits one comparison per turn. Bounds: the debt of a
//! read ([`LIMITED_READ_BYTES`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::token_bucket::{Rate, TokenBucket};
use crate::address_limits::AddressLimits;

/// Remainder of the rates of one address, for the input of its sessions.
#[derive(Debug)]
pub(crate) struct AddressBuckets {
    /// Zero of the times of the buckets.
    began: Instant,
    lines: Option<(Rate, TokenBucket)>,
    bytes: Option<(Rate, TokenBucket)>,
}

/// A rate of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputRate {
    Lines,
    Bytes,
}

/// The wait of one session.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// None if nothing limits the input of the address.
    buckets: Option<Arc<AddressBuckets>>,
    paused_until: Option<Instant>,
}

impl AddressBuckets {
    /// Returns full buckets. `None` if nothing is limited.
    pub(crate) fn new(limits: &AddressLimits, began: Instant) -> Option<Arc<Self>> {
        let full = |rate| (rate, TokenBucket::default());
        let (lines, bytes) = (limits.lines().map(full), limits.bytes().map(full));
        (lines.is_some() || bytes.is_some()).then(|| Arc::new(Self { began, lines, bytes }))
    }

    pub(crate) fn are_full(&self, now_ns: u64) -> bool {
        [&self.lines, &self.bytes].into_iter().flatten().all(|(_, bucket)| bucket.is_full(now_ns))
    }

    fn nanoseconds(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Pace {
    /// Creates the pace of a session that begins. It waits for the debt of its address, which a client could shed by a new connection
    /// otherwise.
    pub(crate) fn new(buckets: Option<Arc<AddressBuckets>>, now: Instant) -> Self {
        let mut pace = Self { buckets, paused_until: None };
        pace.charge(0, || 0, now);
        pace
    }

    /// Returns the bytes that one read may bring, at most `most`.
    pub(crate) fn read_bytes(&self, most: usize) -> usize {
        if self.buckets.is_some() { most.min(LIMITED_READ_BYTES) } else { most }
    }

    /// Charges a read to the address, if that has limits. Returns the rate for which the session pauses now.
    pub(crate) fn charge_read(&mut self, read: &[u8], now: impl FnOnce() -> Instant) -> Option<InputRate> {
        // The read that finds the end of the input costs nothing, and what is owed delays no further one.
        self.buckets.as_ref().filter(|_| !read.is_empty())?;
        let lines = || read.iter().filter(|&&byte| byte == b'\n').count();
        self.charge(read.len(), lines, now())
    }

    fn charge(&mut self, bytes: usize, lines: impl FnOnce() -> usize, now: Instant) -> Option<InputRate> {
        let buckets = self.buckets.as_deref()?;
        let now_ns = buckets.nanoseconds(now);
        let lines = buckets.lines.as_ref().map_or(0, |(rate, bucket)| bucket.charge(*rate, lines(), now_ns));
        let bytes = buckets.bytes.as_ref().map_or(0, |(rate, bucket)| bucket.charge(*rate, bytes, now_ns));
        let wait = lines.max(bytes);
        self.paused_until = (wait > 0).then(|| now + Duration::from_nanos(wait).min(WAIT_MAX));
        let longer = if lines >= bytes { InputRate::Lines } else { InputRate::Bytes };
        self.paused_until.map(|_| longer)
    }

    /// Returns whether the session has to wait before it reads. Reads the clock only while it does.
    pub(crate) fn is_paused(&mut self, now: impl FnOnce() -> Instant) -> bool {
        self.paused_until.is_some_and(|until| {
            let over = until <= now();
            if over {
                self.paused_until = None;
            }
            !over
        })
    }

    /// Ends the wait early, for a read that brings nothing.
    pub(crate) fn resume(&mut self) {
        self.paused_until = None;
    }

    /// Returns the time at which the wait is over.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }
}

/// Bytes per read of a session with limits, by which an address may exceed its burst: one window of a call.
const LIMITED_READ_BYTES: usize = 4 << 10;
/// Longest wait, after which a session reads again whatever it owes: a client that leaves behind unread lines is noticed by a read only.
/// Hundreds of sessions of an address with a few lines a second come to it.
const WAIT_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    /// A session of an address, and a virtual clock.
    struct Client {
        buckets: Option<Arc<AddressBuckets>>,
        pace: Pace,
        now: Instant,
    }

    impl Client {
        fn new(lines_per_s: u32, kib_per_s: u32) -> Self {
            let limits = AddressLimits { lines_per_s, kib_per_s, burst_s: 2, ..AddressLimits::default() };
            let now = Instant::now();
            let buckets = AddressBuckets::new(&limits, now);
            Self { pace: Pace::new(buckets.clone(), now), buckets, now }
        }

        fn read(&mut self, bytes: &[u8]) -> Option<InputRate> {
            self.pace.charge_read(bytes, || self.now)
        }

        /// Milliseconds until the session reads again.
        fn wait_ms(&mut self) -> u128 {
            let until = self.pace.paused_until();
            let wait = until.map_or(Duration::ZERO, |until| until - self.now);
            self.now += wait;
            assert!(!self.pace.is_paused(|| self.now));
            wait.as_millis()
        }
    }

    #[test]
    fn pace_pauses_after_the_burst_of_lines_until_the_rate_is_met() {
        let mut client = Client::new(10, 0);
        assert_eq!(client.read(&b"x\n".repeat(20)), None);
        assert!(!client.pace.is_paused(|| unreachable!("the clock is read only while it pauses")));
        assert_eq!(client.read(b"half a line"), None, "no line, no charge");
        assert_eq!(client.read(b"x\nx\nx"), Some(InputRate::Lines));
        assert!(client.pace.is_paused(|| client.now));
        assert_eq!(client.wait_ms(), 200);
        assert_eq!((client.read(b"\n"), client.wait_ms()), (Some(InputRate::Lines), 100));
    }

    #[test]
    fn pace_counts_bytes_whatever_they_are() {
        let mut client = Client::new(0, 1);
        assert_eq!(client.read(&[b'x'; 2048]), None);
        assert_eq!((client.read(&[b'\n'; 512]), client.wait_ms()), (Some(InputRate::Bytes), 500));
        let mut both = Client::new(1000, 1);
        assert_eq!(both.read(&[b'\n'; 3072]), Some(InputRate::Lines), "the longer wait of both");
        assert_eq!(both.wait_ms(), 1072);
    }

    #[test]
    fn pace_of_sessions_of_one_address_is_that_of_one_session() {
        let mut client = Client::new(10, 0);
        let mut others: Vec<Pace> = (0..5).map(|_| Pace::new(client.buckets.clone(), client.now)).collect();
        client.read(&b"\n".repeat(20));
        let mut total = 0;
        // Each reads a line whenever its wait is over, for a hundred seconds.
        let end = client.now + Duration::from_secs(100);
        while let Some(next) = others.iter_mut().min_by_key(|pace| pace.paused_until()) {
            let now = next.paused_until().unwrap_or(client.now);
            if now > end {
                break;
            }
            assert!(!next.is_paused(|| now));
            next.charge_read(b"\n", || now);
            total += 1;
        }
        assert_eq!(total, 1005, "ten a second, and one of each in advance");
    }

    #[test]
    fn pace_of_a_new_session_begins_with_the_debt_of_its_address() {
        let mut client = Client::new(10, 0);
        client.read(&b"\n".repeat(25));
        client.pace = Pace::new(client.buckets.clone(), client.now);
        assert_eq!(client.wait_ms(), 500);
    }

    #[test]
    fn pace_without_limits_never_reads_the_clock() {
        let mut pace = Pace::default();
        assert_eq!(pace.charge_read(&[b'\n'; 4096], || unreachable!("no limit")), None);
        assert!(!pace.is_paused(|| unreachable!("no limit")));
        assert_eq!((pace.read_bytes(65_536), Client::new(1, 0).pace.read_bytes(65_536)), (65_536, 4096));
    }
}
