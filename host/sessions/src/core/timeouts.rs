//! How long a session may go on without anything happening: an unfinished line, an idle client, output that nobody
//! takes.

use std::time::{Duration, Instant};

use crate::limits::SessionLimits;

/// The times of a session.
#[derive(Debug)]
pub(crate) struct Timeouts {
    /// When the last byte came from the client, or when waiting for one began.
    heard: Instant,
    /// When the unfinished line began.
    unfinished: Option<Instant>,
    /// Since when output waits that the client does not take.
    untaken: Option<Instant>,
}

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The next bytes of its client.
    Client,
    /// Something else: an upstream, or a topic.
    Other,
}

impl Timeouts {
    pub(crate) fn new(now: Instant) -> Self {
        Self { heard: now, unfinished: None, untaken: None }
    }

    /// Bytes came. `ended_a_line` if some of them were consumed, `rest` if some were left over.
    pub(crate) fn heard(&mut self, now: Instant, ended_a_line: bool, rest: bool) {
        self.heard = now;
        let began = self.unfinished.filter(|_| !ended_a_line).unwrap_or(now);
        self.unfinished = rest.then_some(began);
    }

    /// Bytes are waited for again, after a time in which the node did not read.
    pub(crate) fn listens_again(&mut self, now: Instant) {
        self.heard = now;
        self.unfinished = self.unfinished.map(|_| now);
    }

    /// No more bytes are waited for.
    pub(crate) fn stops_listening(&mut self) {
        self.unfinished = None;
    }

    /// The client took output; `all` if none is left.
    pub(crate) fn took(&mut self, now: Instant, all: bool) {
        self.untaken = (!all).then_some(now);
    }

    /// The client takes nothing now.
    pub(crate) fn takes_nothing(&mut self, now: Instant) {
        self.untaken.get_or_insert(now);
    }

    /// Output waits that the client does not take.
    pub(crate) fn is_untaken(&self) -> bool {
        self.untaken.is_some()
    }

    /// When the session ends if nothing happens. Never, while it waits for something else than its client.
    pub(crate) fn deadline(&self, limits: &SessionLimits, waiting: Waiting) -> Option<Instant> {
        let seconds = Duration::from_secs;
        if let Some(since) = self.untaken {
            return Some(since + seconds(limits.unread_s));
        }
        match (waiting, self.unfinished) {
            (Waiting::Other, _) => None,
            (Waiting::Client, Some(began)) => Some(began + seconds(limits.unfinished_line_s)),
            (Waiting::Client, None) => Some(self.heard + seconds(limits.idle_s)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> SessionLimits {
        SessionLimits { unfinished_line_s: 60, idle_s: 600, unread_s: 30, ..SessionLimits::default() }
    }

    fn after(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[test]
    fn an_unfinished_line_has_its_time_from_its_first_byte_whatever_comes_of_it() {
        let begin = Instant::now();
        let mut timeouts = Timeouts::new(begin);
        timeouts.heard(after(begin, 1), false, true);
        timeouts.heard(after(begin, 50), false, true);
        assert_eq!(timeouts.deadline(&limits(), Waiting::Client), Some(after(begin, 61)));
    }

    #[test]
    fn a_line_that_ends_while_the_next_one_begins_starts_the_time_anew() {
        let begin = Instant::now();
        let mut timeouts = Timeouts::new(begin);
        timeouts.heard(after(begin, 1), false, true);
        timeouts.heard(after(begin, 50), true, true);
        assert_eq!(timeouts.deadline(&limits(), Waiting::Client), Some(after(begin, 110)));
        timeouts.heard(after(begin, 70), true, false);
        assert_eq!(timeouts.deadline(&limits(), Waiting::Client), Some(after(begin, 670)));
    }

    #[test]
    fn a_time_in_which_the_node_does_not_read_counts_against_nobody() {
        let begin = Instant::now();
        let mut timeouts = Timeouts::new(begin);
        timeouts.heard(begin, false, true);
        let later = after(begin, 500);
        assert_eq!(timeouts.deadline(&limits(), Waiting::Other), None);
        timeouts.listens_again(later);
        assert_eq!(timeouts.deadline(&limits(), Waiting::Client), Some(after(begin, 560)));
    }

    #[test]
    fn output_that_nobody_takes_ends_a_session_before_anything_else() {
        let begin = Instant::now();
        let mut timeouts = Timeouts::new(begin);
        timeouts.takes_nothing(after(begin, 1));
        timeouts.takes_nothing(after(begin, 20));
        assert_eq!(timeouts.deadline(&limits(), Waiting::Other), Some(after(begin, 31)));
        timeouts.took(after(begin, 25), false);
        assert_eq!(timeouts.deadline(&limits(), Waiting::Other), Some(after(begin, 55)));
        timeouts.took(after(begin, 26), true);
        assert!(!timeouts.is_untaken());
    }
}
