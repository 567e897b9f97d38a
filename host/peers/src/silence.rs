//! Silence of a peer: for how long nothing has arrived on a link, and what follows from it.
//!
//! Reads no clock: times are arguments. Bounds: none.

use std::time::Duration;

use tokio::time::Instant;

/// Silence of the peer of one link.
///
/// ```text
/// heard -- timeout of the failure detector --> suspect -- silence_max, or a probe without an answer --> over
///   ^                                            |
///   +------------- something arrives ------------+
/// ```
#[derive(Debug)]
pub(super) struct Silence {
    heard_at: Instant,
    suspect_at: Instant,
    over_at: Instant,
    is_suspect: bool,
}

/// Verdict of [`Silence::look`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is not long enough yet.
    Alive,
    /// The link has just become suspect.
    Suspect,
    /// The link is over, after this silence.
    Over(Duration),
}

impl Silence {
    /// Begins with a peer that was just heard.
    pub(super) fn begin(now: Instant, suspect_after: Duration, silence_max: Duration) -> Self {
        Self { heard_at: now, suspect_at: now + suspect_after, over_at: now + silence_max, is_suspect: false }
    }

    /// Notes that something arrived. Returns whether that ends a suspicion.
    pub(super) fn heard(&mut self, now: Instant, suspect_after: Duration, silence_max: Duration) -> bool {
        let was_suspect = self.is_suspect;
        *self = Self::begin(now, suspect_after, silence_max);
        was_suspect
    }

    /// Notes that the peer has to be heard within `longest`.
    pub(super) fn probe(&mut self, now: Instant, longest: Duration) {
        self.over_at = self.over_at.min(now + longest);
    }

    /// Returns when to [`look`](Self::look) again unless something arrives.
    pub(super) fn next_look(&self) -> Instant {
        if self.is_suspect { self.over_at } else { self.suspect_at.min(self.over_at) }
    }

    /// Judges the silence.
    pub(super) fn look(&mut self, now: Instant) -> Verdict {
        if now >= self.over_at {
            Verdict::Over(now - self.heard_at)
        } else if now >= self.suspect_at && !self.is_suspect {
            self.is_suspect = true;
            Verdict::Suspect
        } else {
            Verdict::Alive
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(750);
    const MAX: Duration = Duration::from_secs(10);

    fn silence() -> (Instant, Silence) {
        let now = Instant::now();
        (now, Silence::begin(now, TIMEOUT, MAX))
    }

    #[test]
    fn silence_makes_a_link_suspect_once_and_ends_it_much_later() {
        let (began, mut silence) = silence();
        assert_eq!(silence.look(began + TIMEOUT / 2), Verdict::Alive);
        assert_eq!(silence.next_look(), began + TIMEOUT);
        assert_eq!(silence.look(began + TIMEOUT), Verdict::Suspect);
        assert_eq!(silence.look(began + TIMEOUT * 2), Verdict::Alive, "said once");
        assert_eq!(silence.next_look(), began + MAX);
        assert_eq!(silence.look(began + MAX), Verdict::Over(MAX));
    }

    #[test]
    fn suspicion_ends_when_the_peer_is_heard_and_may_begin_again() {
        let (began, mut silence) = silence();
        assert!(!silence.heard(began + TIMEOUT / 2, TIMEOUT, MAX), "there was none");
        assert_eq!(silence.look(began + TIMEOUT), Verdict::Alive);
        assert_eq!(silence.look(began + TIMEOUT * 2), Verdict::Suspect);
        assert!(silence.heard(began + TIMEOUT * 3, TIMEOUT, MAX));
        assert_eq!(silence.look(began + MAX), Verdict::Suspect);
    }

    #[test]
    fn probe_without_an_answer_ends_a_link_early() {
        let (began, mut silence) = silence();
        let longest = Duration::from_secs(1);
        silence.probe(began, longest);
        assert_eq!(silence.look(began + TIMEOUT), Verdict::Suspect);
        assert_eq!(silence.next_look(), began + longest);
        silence.probe(began + TIMEOUT, longest);
        assert_eq!(silence.look(began + longest), Verdict::Over(longest), "a second probe gives no more time");
    }
}
