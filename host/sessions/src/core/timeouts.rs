//! How long a session may go on without anything happening: an unfinished line, an idle client, output that nobody
//! takes.

use std::time::{Duration, Instant};

use crate::limits::SessionLimits;

/// The times of a session.
#[derive(Debug)]
pub(crate) struct Timeouts {
    /// When the last byte came from the client, or when waiting for one began.
    last_input: Instant,
    /// When the unfinished line began.
    line_start: Option<Instant>,
    /// Since when output waits that the client does not take.
    write_blocked_since: Option<Instant>,
}

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitingFor {
    /// The next bytes of its client.
    Client,
    /// Something else: an upstream, or a topic.
    Other,
}

impl Timeouts {
    pub(crate) fn new(now: Instant) -> Self {
        Self { last_input: now, line_start: None, write_blocked_since: None }
    }

    /// Bytes came. `line_completed` if some of them were consumed, `rest` if some were left over.
    pub(crate) fn on_input(&mut self, now: Instant, line_completed: bool, unfinished_line: bool) {
        self.last_input = now;
        let began = self.line_start.filter(|_| !line_completed).unwrap_or(now);
        self.line_start = unfinished_line.then_some(began);
    }

    /// Bytes are waited for again, after a time in which the node did not read.
    pub(crate) fn on_reading_resumed(&mut self, now: Instant) {
        self.last_input = now;
        self.line_start = self.line_start.map(|_| now);
    }

    /// No more bytes are waited for.
    pub(crate) fn on_input_closed(&mut self) {
        self.line_start = None;
    }

    /// The client took output; `all` if none is left.
    pub(crate) fn on_write(&mut self, now: Instant, all_written: bool) {
        self.write_blocked_since = (!all_written).then_some(now);
    }

    /// The client takes nothing now.
    pub(crate) fn on_write_blocked(&mut self, now: Instant) {
        self.write_blocked_since.get_or_insert(now);
    }

    /// Output waits that the client does not take.
    pub(crate) fn is_write_blocked(&self) -> bool {
        self.write_blocked_since.is_some()
    }

    /// When the session ends if nothing happens. Never, while it waits for something else than its client.
    pub(crate) fn deadline(&self, limits: &SessionLimits, waiting: WaitingFor) -> Option<Instant> {
        let seconds = Duration::from_secs;
        if let Some(since) = self.write_blocked_since {
            return Some(since + seconds(limits.unread_s));
        }
        match (waiting, self.line_start) {
            (WaitingFor::Other, _) => None,
            (WaitingFor::Client, Some(began)) => Some(began + seconds(limits.unfinished_line_s)),
            (WaitingFor::Client, None) => Some(self.last_input + seconds(limits.idle_s)),
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
    fn timeout_of_an_unfinished_line_runs_from_its_first_byte() {
        let begin = Instant::now();
        let mut timeouts = Timeouts::new(begin);
        timeouts.on_input(after(begin, 1), false, true);
        timeouts.on_input(after(begin, 50), false, true);
        assert_eq!(timeouts.deadline(&limits(), WaitingFor::Client), Some(after(begin, 61)));
    }

    #[test]
    fn timeout_of_an_unfinished_line_restarts_when_a_line_completes() {
        let begin = Instant::now();
        let mut timeouts = Timeouts::new(begin);
        timeouts.on_input(after(begin, 1), false, true);
        timeouts.on_input(after(begin, 50), true, true);
        assert_eq!(timeouts.deadline(&limits(), WaitingFor::Client), Some(after(begin, 110)));
        timeouts.on_input(after(begin, 70), true, false);
        assert_eq!(timeouts.deadline(&limits(), WaitingFor::Client), Some(after(begin, 670)));
    }

    #[test]
    fn timeouts_exclude_the_time_in_which_the_node_does_not_read() {
        let begin = Instant::now();
        let mut timeouts = Timeouts::new(begin);
        timeouts.on_input(begin, false, true);
        let later = after(begin, 500);
        assert_eq!(timeouts.deadline(&limits(), WaitingFor::Other), None);
        timeouts.on_reading_resumed(later);
        assert_eq!(timeouts.deadline(&limits(), WaitingFor::Client), Some(after(begin, 560)));
    }

    #[test]
    fn timeout_of_blocked_output_takes_precedence() {
        let begin = Instant::now();
        let mut timeouts = Timeouts::new(begin);
        timeouts.on_write_blocked(after(begin, 1));
        timeouts.on_write_blocked(after(begin, 20));
        assert_eq!(timeouts.deadline(&limits(), WaitingFor::Other), Some(after(begin, 31)));
        timeouts.on_write(after(begin, 25), false);
        assert_eq!(timeouts.deadline(&limits(), WaitingFor::Other), Some(after(begin, 55)));
        timeouts.on_write(after(begin, 26), true);
        assert!(!timeouts.is_write_blocked());
    }
}
