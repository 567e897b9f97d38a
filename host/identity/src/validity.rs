//! Span of time in which a certificate is valid, and how much of it is left.
//!
//! Knows no clock: `now` is an argument everywhere, as the time since the Unix epoch (`herd_sys::clock::unix_now`).
//! Certificates count whole seconds.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;

/// Span of time between two moments, both given as the time since the Unix epoch, and both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub not_before: Duration,
    /// Last second.
    pub not_after: Duration,
}

/// State of a [`Validity`] at one moment. Ordered by how much it needs a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
    /// Valid, and for long. Says for how long.
    Far(Duration),
    /// Valid, but to be renewed: less than a quarter of the lifetime is left, and less than 90 days. Worth a warning.
    Near(Duration),
    /// Valid, but not for long: less than a tenth of the lifetime is left, and less than 14 days. Worth an error in the log.
    Close(Duration),
    /// Not yet valid; says for how long not. A clock is wrong: that of this host, or that of the authority.
    NotYet(Duration),
    /// Expired; says since when.
    Expired(Duration),
}

impl Validity {
    /// Returns the validity of a certificate that is made now: it ends after `lifetime`, and it began [`BACKDATED`] ago.
    #[must_use]
    pub fn starting(now: Duration, lifetime: Duration) -> Self {
        let whole = |time: Duration| Duration::from_secs(time.as_secs());
        Self { not_before: whole(now.saturating_sub(BACKDATED)), not_after: whole(now.saturating_add(lifetime)) }
    }

    /// Returns whether `now` is within.
    #[must_use]
    pub fn contains(&self, now: Duration) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Returns how much is left at this moment.
    #[must_use]
    pub fn expiry(&self, now: Duration) -> Expiry {
        if now < self.not_before {
            return Expiry::NotYet(self.not_before - now);
        }
        let Some(left) = self.not_after.checked_sub(now) else { return Expiry::Expired(now - self.not_after) };
        let lifetime = self.not_after.saturating_sub(self.not_before);
        if left < (lifetime / 10).min(CLOSE) {
            Expiry::Close(left)
        } else if left < (lifetime / 4).min(NEAR) {
            Expiry::Near(left)
        } else {
            Expiry::Far(left)
        }
    }

    /// Returns whether it is time to renew: less than a third of the lifetime is left. That is earlier than [`Expiry::Near`], so
    /// that a node that renews by itself never warns.
    #[must_use]
    pub fn is_renewal_due(&self, now: Duration) -> bool {
        self.not_after.saturating_sub(now) < self.not_after.saturating_sub(self.not_before) / 3
    }
}

impl Expiry {
    /// Returns a word for the state, for scripts: `far`, `near`, `close`, `not_yet` or `expired`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Far(_) => "far",
            Self::Near(_) => "near",
            Self::Close(_) => "close",
            Self::NotYet(_) => "not_yet",
            Self::Expired(_) => "expired",
        }
    }

    /// Returns the seconds until the end of the validity; negative after it. For metrics.
    ///
    /// Of a certificate that is not yet valid this is `i64::MAX`, because its end is not near.
    #[must_use]
    pub fn seconds_left(&self) -> i64 {
        let seconds = |time: &Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        match self {
            Self::Far(left) | Self::Near(left) | Self::Close(left) => seconds(left),
            Self::NotYet(_) => i64::MAX,
            Self::Expired(since) => -seconds(since),
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Far(left) => write!(f, "expires in {}", in_words(*left)),
            Self::Near(left) => write!(f, "expires in {}, renew it", in_words(*left)),
            Self::Close(left) => write!(f, "expires in {}, renew it now", in_words(*left)),
            Self::NotYet(wait) => write!(f, "not valid for another {}, check the clocks", in_words(*wait)),
            Self::Expired(since) => write!(f, "expired {} ago", in_words(*since)),
        }
    }
}

/// Returns a span of time for people, in its largest unit: `3 days`, `1 hour`.
#[must_use]
pub(crate) fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let (count, unit) = units
        .iter()
        .find(|(unit, _)| seconds >= *unit)
        .map_or((seconds, "second"), |(unit, name)| (seconds / unit, *name));
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Returns a moment for people, in UTC: `2026-11-26 17:45 UTC`.
#[must_use]
pub(crate) fn at(time: Duration) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or("a time out of range".into(), |at| {
        // Not by strftime, which would be the only one: it is 14 KB of the program.
        let at = Offset::UTC.to_datetime(at);
        format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
    })
}

/// Time before its making from which a certificate is valid. Clocks of hosts that were just set up differ by less, and hosts that
/// keep local time for UTC are the reason that it is not minutes.
pub const BACKDATED: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Caps of the warnings. An authority of ten years shall not warn for years.
const NEAR: Duration = DAY.saturating_mul(90);
const CLOSE: Duration = DAY.saturating_mul(14);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_795_715_122);

    #[test]
    fn validity_starts_an_hour_early() {
        let validity = Validity::starting(NOW, DAY);
        assert_eq!((NOW - validity.not_before, validity.not_after - NOW), (Duration::from_secs(3_600), DAY));
        assert!(validity.contains(NOW - BACKDATED) && !validity.contains(NOW - BACKDATED - Duration::from_secs(1)));
        assert!(validity.contains(NOW + DAY) && !validity.contains(NOW + DAY + Duration::from_secs(1)));
    }

    #[test]
    fn validity_warns_long_before_its_end() {
        let year = Validity::starting(NOW, DAY * 365);
        let state = |day: u32| year.expiry(NOW + DAY * day).to_string();
        assert_eq!(state(0), "expires in 365 days");
        assert_eq!(state(270), "expires in 95 days");
        assert_eq!(state(276), "expires in 89 days, renew it");
        assert_eq!(state(352), "expires in 13 days, renew it now");
        assert_eq!(state(367), "expired 2 days ago");
        assert_eq!(year.expiry(NOW - BACKDATED * 3).to_string(), "not valid for another 2 hours, check the clocks");
        assert!(Expiry::Far(DAY) < Expiry::Near(DAY) && Expiry::NotYet(DAY) < Expiry::Expired(DAY));
    }

    #[test]
    fn validity_is_renewed_before_it_warns() {
        for days in [1, 30, 365, 3_650] {
            let lifetime = DAY * days;
            let validity = Validity::starting(NOW, lifetime);
            let warns = (0..1_000).map(|step| NOW + lifetime / 1_000 * step);
            for now in warns.filter(|now| !matches!(validity.expiry(*now), Expiry::Far(_))) {
                assert!(validity.is_renewal_due(now), "{days} days, {}", validity.expiry(now));
            }
            assert!(!validity.is_renewal_due(NOW + lifetime / 2));
        }
    }

    #[test]
    fn validity_is_told_in_words() {
        assert_eq!(at(NOW), "2026-11-26 17:45 UTC");
        assert_eq!(in_words(Duration::from_secs(1)), "1 second");
        assert_eq!(in_words(Duration::from_secs(7_300)), "2 hours");
        assert_eq!(Expiry::Expired(DAY).seconds_left(), -86_400);
    }
}
