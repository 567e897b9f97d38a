//! The timeouts of a session: an unfinished line, an idle client, a client that does not read its output.
//!
//! Owns the points in time from which they run. Reads no clock and sets no timer: time is an argument, and the task of the
//! session waits for [`deadline`](Timeouts::deadline).

use std::time::{Duration, Instant};

use crate::limits::SessionLimits;

/// Start times of the timeouts of a session.
#[derive(Debug)]
pub(crate) struct Timeouts {
    /// Time of the last input, or at which the node began to wait for input.
    last_input: Instant,
    /// Time of the first byte of the unfinished line.
    line_start: Option<Instant>,
    /// Time since which the client has read nothing of the output that waits for it.
    write_blocked_since: Option<Instant>,
}

/// A timeout of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    /// A line was not finished.
    UnfinishedLine,
    /// No input came.
    Idle,
    /// Output was not read.
    Unread,
}

/// The source of the next event of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitingFor {
    /// Input of its client.
    Client,
    /// An upstream, a confirmation or a topic.
    Other,
}

impl Timeouts {
    pub(crate) fn new(now: Instant) -> Self {
        Self { last_input: now, line_start: None, write_blocked_since: None }
    }

    /// Records input. `line_completed`: the guest consumed some of it; `unfinished_line`: some is left.
    pub(crate) fn on_input(&mut self, now: Instant, line_completed: bool, unfinished_line: bool) {
        self.last_input = now;
        // Further bytes of the same line do not restart its timeout: a client could otherwise hold a session with one byte a
        // minute. A line that was completed makes the rest a new line.
        let began = self.line_start.filter(|_| !line_completed).unwrap_or(now);
        self.line_start = unfinished_line.then_some(began);
    }

    /// Restarts the timeouts of input after a time in which the node did not read: the client could not have met them.
    pub(crate) fn on_reading_resumed(&mut self, now: Instant) {
        self.last_input = now;
        self.line_start = self.line_start.map(|_| now);
    }

    /// Stops the timeout of an unfinished line, because no more input is read.
    pub(crate) fn on_input_closed(&mut self) {
        self.line_start = None;
    }

    /// Records that the client read output. `all_written`: none is left.
    pub(crate) fn on_write(&mut self, now: Instant, all_written: bool) {
        // Any progress restarts the timeout: a slow client may take longer than that for all of its output.
        self.write_blocked_since = (!all_written).then_some(now);
    }

    /// Records that the socket took nothing. Keeps the earlier time if it was full already.
    pub(crate) fn on_write_blocked(&mut self, now: Instant) {
        self.write_blocked_since.get_or_insert(now);
    }

    /// Returns whether output waits for the client to read.
    pub(crate) fn is_write_blocked(&self) -> bool {
        self.write_blocked_since.is_some()
    }

    /// Returns the timeout that [`deadline`](Self::deadline) is the end of.
    pub(crate) fn due(&self) -> Timeout {
        match (self.write_blocked_since, self.line_start) {
            (Some(_), _) => Timeout::Unread,
            (None, Some(_)) => Timeout::UnfinishedLine,
            (None, None) => Timeout::Idle,
        }
    }

    /// Returns the time at which the session ends if nothing happens before: `None`, hence never, while it waits for an upstream,
    /// a confirmation or a topic and its output is not blocked.
    pub(crate) fn deadline(&self, limits: &SessionLimits, waiting: WaitingFor) -> Option<Instant> {
        let seconds = Duration::from_secs;
        // First, and whatever else the session waits for: blocked output is memory that the client makes the node hold.
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
