//! Content that a herd has to serve, until it does.
//!
//! Content counts as done when the herd serves it or has refused it, not when it was read: a herd that is down, or busy with
//! another swap, gets it later. Owns the retries and no clock. Bound: a pause of [`PAUSE_MAX`] between two tries.

use std::time::{Duration, Instant};

use herd_audit::sanitize;
use herd_model::SignedGuest;

use super::swap_target::SwapTarget;
use super::swapper::{Swapper, print};

/// Herd that follows a file, and the content that it does not serve yet.
pub(super) struct Follower<T> {
    pub(super) swapper: Swapper<T>,
    pending: Option<Pending>,
}

struct Pending {
    guest: SignedGuest,
    due: Instant,
    /// Tries that failed for a reason that may pass.
    failures: u32,
}

impl<T: SwapTarget> Follower<T> {
    /// Creates a follower without content.
    pub(super) fn new(swapper: Swapper<T>) -> Self {
        Self { swapper, pending: None }
    }

    /// Takes new content, in place of any that the herd does not serve yet.
    pub(super) fn take(&mut self, guest: SignedGuest, now: Instant) {
        self.pending = Some(Pending { guest, due: now, failures: 0 });
    }

    /// Swaps the herd to the content if a try is due. Blocks while the herd prepares it.
    pub(super) fn advance(&mut self, now: Instant) {
        let Some(pending) = self.pending.as_mut().filter(|pending| pending.due <= now) else { return };
        match self.swapper.swap(&pending.guest) {
            Ok(()) => self.pending = None,
            Err(why) => {
                // Doubled with every failure. The shift is bounded, so that it does not overflow in a herd that stays away.
                let pause = PAUSE_MIN * (1 << pending.failures.min(10));
                pending.due = now + pause.min(PAUSE_MAX);
                pending.failures = pending.failures.saturating_add(1);
                // Once, and not at first: what passes within a second, such as the swap of somebody else, is not worth a line.
                if pending.failures == FAILURES_REPORTED {
                    print(&format!("{}: trying again: {}", self.swapper.name, sanitize(&why)));
                }
            }
        }
    }

    /// Returns whether the herd serves or has refused everything that was taken.
    pub(super) fn is_done(&self) -> bool {
        self.pending.is_none()
    }
}

/// First pause between two tries.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// Longest pause: a herd that was started is noticed within it.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Failures until the reason is printed: after 0.6 s, by the pauses between them.
const FAILURES_REPORTED: u32 = 6;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::Path;

    use herd_runtime::Digest;
    use serde_json::{Value, json};

    use super::super::swap_target::NotSwapped;
    use super::*;

    /// Herd of one node that answers as scripted, and serves what it accepted.
    #[derive(Default)]
    struct Scripted {
        /// Failures of the next swaps, last one first.
        failures: RefCell<Vec<NotSwapped>>,
        serves: RefCell<String>,
        /// Digest that the node serves after a failed swap: somebody else swapped.
        swapped_by_others: Option<String>,
        swaps: RefCell<u32>,
    }

    impl SwapTarget for &Scripted {
        fn statuses(&self) -> Vec<Option<Value>> {
            vec![Some(json!({ "generations": { "active": { "id": 2, "digest": *self.serves.borrow() } } }))]
        }

        fn swap(&self, guest: &SignedGuest) -> Result<Value, NotSwapped> {
            *self.swaps.borrow_mut() += 1;
            if let Some(failure) = self.failures.borrow_mut().pop() {
                self.serves.replace(self.swapped_by_others.clone().unwrap_or_default());
                return Err(failure);
            }
            let digest = guest.digest().to_string();
            self.serves.replace(digest.clone());
            Ok(json!({ "digest": digest, "nodes": { "Riley": { "serving": { "generation": 2 } } } }))
        }

        fn nodes(&self) -> usize {
            1
        }
    }

    fn guest() -> SignedGuest {
        herd_model::GuestFiles::from(b"guest".as_slice()).into()
    }

    fn follower(herd: &Scripted) -> Follower<&Scripted> {
        Follower::new(Swapper::new(herd, Path::new("guest.wasm")))
    }

    #[test]
    fn watch_retries_what_may_pass_until_the_herd_serves_the_content() {
        let away = NotSwapped::MayPass("no node of the herd answers".into());
        let herd = Scripted { failures: RefCell::new(vec![away; 20]), ..Scripted::default() };
        let mut follower = follower(&herd);
        let start = Instant::now();
        follower.take(guest(), start);
        follower.advance(start);
        follower.advance(start);
        assert_eq!(*herd.swaps.borrow(), 1, "no second try before the pause is over");
        for second in 1..=60 {
            follower.advance(start + Duration::from_secs(second));
        }
        assert_eq!(*herd.swaps.borrow(), 21);
        assert!(follower.is_done());
        assert_eq!(*herd.serves.borrow(), Digest::of(b"guest").to_string());
    }

    #[test]
    fn watch_retries_nothing_that_was_refused() {
        let refused = NotSwapped::Refused("not parsed".into());
        let herd = Scripted { failures: RefCell::new(vec![refused]), ..Scripted::default() };
        let mut follower = follower(&herd);
        let start = Instant::now();
        follower.take(guest(), start);
        follower.advance(start);
        assert!(follower.is_done());
        follower.advance(start + Duration::from_secs(60));
        assert_eq!(*herd.swaps.borrow(), 1);
    }

    #[test]
    fn watch_is_done_when_somebody_else_swapped_to_the_same_content() {
        for failure in [NotSwapped::MayPass("another swap".into()), NotSwapped::Refused("another swap won".into())] {
            let swapped_by_others = Some(Digest::of(b"guest").to_string());
            let herd = Scripted { failures: RefCell::new(vec![failure]), swapped_by_others, ..Scripted::default() };
            let mut follower = follower(&herd);
            let start = Instant::now();
            follower.take(guest(), start);
            follower.advance(start);
            assert!(follower.is_done());
            assert_eq!(*herd.swaps.borrow(), 1);
        }
    }
}
