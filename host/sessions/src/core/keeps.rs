//! The keeps of one decision: performed ahead of its other effects, on whose outcomes these depend.
//!
//! All keeps first, so that their records reach the log together: one write per decision instead of one per record. That changes
//! nothing else: ties refer to earlier keeps only, the guest has read before the decision, and no effect of another kind reads
//! what is kept.
//!
//! Owns the outcomes. Knows nothing of sessions. Bounds: the effects of a decision.

use std::time::Instant;

use herd_model::{Confirmation, Keeping, Kept, Ticket};
use herd_sdk::{Decision, Effect, FanOut, Keep, Tie};

use crate::host::{KeepRequest, Provenance, SessionsHost};

/// Outcomes of the keeps of a decision. Reused from decision to decision for its allocations.
#[derive(Debug, Default)]
pub(crate) struct Keeps {
    /// The keeps, so that only the first pass decodes the other effects, each with the number of its input in the call.
    keeps: Vec<(usize, Keep)>,
    /// For each of them, true if its session may not perform it. Empty where everybody may report under every name.
    refused: Vec<bool>,
    /// By number of the keep, to which ties refer.
    outcomes: Vec<Keeping>,
    /// The log took the records.
    flushed: bool,
    /// Time until which tied replies wait. None: nothing ever waits.
    deadline: Option<Instant>,
}

/// Keeps of one input, for its trace.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InputKeeps {
    pub(crate) count: usize,
    /// Those that won.
    pub(crate) applied: usize,
    /// Ticket of the last one that replies may wait for.
    pub(crate) awaited: Option<Ticket>,
}

/// Outcome for a reply that is tied to a keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tied {
    /// The reply goes out.
    Accepted,
    /// The fallback goes out.
    Refused,
    /// The choice between them is not known yet, but will be by this time.
    Waits(Ticket, Instant),
}

impl Keeps {
    /// Performs the keeps of a decision, in order, and hands their records to the log. `permits` says whether the session of an
    /// input, by its number in the call, may report under a key; `None`: every one may. `provenance` says where a keep of an input comes
    /// from. A guest may keep behind its last input; that is the input of the next number, which the call does not have.
    pub(crate) fn perform<S: SessionsHost>(
        &mut self,
        host: &S,
        decision: &Decision,
        permits: Option<impl Fn(usize, &[u8]) -> bool>,
        provenance: impl Fn(usize) -> Provenance,
        now: Instant,
    ) {
        self.refused.clear();
        if let Some(permits) = permits {
            let mut input = 0;
            for effect in &decision.effects {
                match effect {
                    Effect::Keep(keep) => self.refused.push(!permits(input, decision.bytes(keep.key))),
                    Effect::Done(_) => input += 1,
                    _ => {}
                }
            }
        }
        self.keeps.clear();
        self.outcomes.clear();
        let mut input = 0;
        self.keeps.extend(decision.effects.iter().filter_map(|effect| match effect {
            Effect::Keep(keep) => Some((input, keep)),
            Effect::Done(_) => {
                input += 1;
                None
            }
            _ => None,
        }));
        // Before any of them is used, so that the cache misses of the records overlap instead of adding up.
        host.prefetch(self.keeps.iter().map(|(_, keep)| decision.bytes(keep.key)));
        for (number, (input, keep)) in self.keeps.iter().enumerate() {
            if self.refused.get(number).is_some_and(|&refused| refused) {
                self.outcomes.push(Keeping { kept: Kept::NotStored, ticket: Ticket::default() });
                continue;
            }
            self.outcomes.push(host.keep(KeepRequest {
                key: decision.bytes(keep.key),
                rank: decision.bytes(keep.rank),
                form: keep.form,
                record: decision.bytes(keep.bytes),
                only: match keep.fan_out {
                    FanOut::Everyone => None,
                    FanOut::TheseFirst(peers) => Some(decision.bytes(peers)),
                },
                provenance: provenance(*input),
            }));
        }
        if !self.outcomes.is_empty() {
            self.flushed = host.flush();
            self.deadline = host.waits_for_confirmation().then(|| now + host.confirmation_timeout());
        }
    }

    /// Returns which bytes of a tied reply are sent.
    pub(crate) fn tied<S: SessionsHost>(&self, host: &S, tie: Tie) -> Tied {
        let Keeping { kept, ticket } = self.outcomes[tie.keep as usize];
        let accepted = match kept {
            // A keep that was outranked is a success for the client: a newer record of its key is kept. Its ticket is that of the
            // newer one: until that is confirmed, a crash could lose both.
            Kept::Applied(_) | Kept::Outranked => self.flushed,
            Kept::NoRoom | Kept::NotStored => false,
        };
        match self.deadline {
            _ if !accepted => Tied::Refused,
            None => Tied::Accepted,
            Some(deadline) => match host.confirmation(ticket) {
                Confirmation::Confirmed => Tied::Accepted,
                Confirmation::Pending => Tied::Waits(ticket, deadline),
                Confirmation::Failed => Tied::Refused,
            },
        }
    }

    /// Returns the keeps of an input, by its number in the call.
    pub(crate) fn of_input(&self, number: usize) -> InputKeeps {
        let outcomes = self.keeps.iter().zip(&self.outcomes).filter(|((input, _), _)| *input == number);
        let mut keeps = InputKeeps::default();
        for (_, Keeping { kept, ticket }) in outcomes {
            keeps.count += 1;
            keeps.applied += usize::from(matches!(kept, Kept::Applied(_)));
            if let Kept::Applied(_) | Kept::Outranked = kept {
                keeps.awaited = self.deadline.map(|_| *ticket);
            }
        }
        keeps
    }

    /// Returns whether a keep was applied, which makes it news to subscribers. An outranked one would show them an old record.
    pub(crate) fn is_applied(&self, keep: u32) -> bool {
        matches!(self.outcomes[keep as usize].kept, Kept::Applied(_))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use herd_model::{GenerationId, Reign, Ticket};
    use herd_sdk::{Awaiting, Progress, Span};

    use super::*;
    use crate::test_host::TestHost;

    /// A node that keeps `a`, has a newer `b`, no room for `c`, and cannot write `d`.
    struct LedgerHost {
        /// Keys in the order of their keeps, and `flush`.
        calls: Mutex<Vec<String>>,
        /// Ports of the clients of the keeps; 0 for none.
        clients: Mutex<Vec<u16>>,
        writes: bool,
    }

    impl LedgerHost {
        fn new(writes: bool) -> Self {
            Self { calls: Mutex::default(), clients: Mutex::default(), writes }
        }
    }

    impl TestHost for LedgerHost {
        fn on_keep(&self, keep: KeepRequest<'_>) -> Keeping {
            self.calls.lock().unwrap().push(String::from_utf8(keep.key.into()).unwrap());
            self.clients.lock().unwrap().push(keep.provenance.client.map_or(0, |client| client.port()));
            let kept = match keep.key {
                b"a" => Kept::Applied(Reign(0)),
                b"b" => Kept::Outranked,
                b"c" => Kept::NoRoom,
                _ => Kept::NotStored,
            };
            Keeping { kept, ticket: Ticket::default() }
        }

        fn on_flush(&self) -> bool {
            self.calls.lock().unwrap().push("flush".into());
            self.writes
        }
    }

    fn keeps_of(host: &LedgerHost, keys: &str) -> Keeps {
        let mut decision = Decision::default();
        for key in keys.chars() {
            let (key, empty) = (decision.copy(key.to_string().as_bytes()), decision.copy(b""));
            decision.effects.push(Effect::Keep(Keep {
                key,
                rank: empty,
                form: 1,
                bytes: key,
                fan_out: FanOut::Everyone,
            }));
            decision.effects.push(Effect::Close);
        }
        let mut keeps = Keeps::default();
        keeps.perform(host, &decision, None::<fn(usize, &[u8]) -> bool>, from(9), Instant::now());
        keeps
    }

    /// Says where a keep of an input comes from, in a call with this many inputs, whose clients have the ports 1, 2, and so on.
    fn from(inputs: usize) -> impl Fn(usize) -> Provenance {
        move |input| {
            let client = (input < inputs).then(|| ([192, 0, 2, 7], input as u16 + 1).into());
            Provenance { generation: GenerationId(1), client, at_ns: 5, trace: None }
        }
    }

    /// Ends an input in a decision.
    fn done() -> Effect {
        Effect::Done(Progress { consumed: 0, awaits: Awaiting::Delimiter(b'\n') })
    }

    fn accepted(keeps: &Keeps) -> Vec<bool> {
        let tied = |keep| keeps.tied(&LedgerHost::new(true), Tie { keep, otherwise: Span::default() });
        (0..keeps.outcomes.len() as u32).map(|keep| tied(keep) == Tied::Accepted).collect()
    }

    #[test]
    fn keeps_are_performed_in_order_and_flushed_once() {
        let host = LedgerHost::new(true);
        keeps_of(&host, "badc");
        assert_eq!(*host.calls.lock().unwrap(), ["b", "a", "d", "c", "flush"]);
        keeps_of(&host, "");
        assert_eq!(host.calls.lock().unwrap().len(), 5, "nothing to flush");
    }

    #[test]
    fn keeps_accept_a_tie_to_a_record_that_is_kept_or_outranked() {
        assert_eq!(accepted(&keeps_of(&LedgerHost::new(true), "abcd")), [true, true, false, false]);
    }

    #[test]
    fn keep_without_permission_is_not_performed_and_not_accepted() {
        let mut decision = Decision::default();
        for key in ["a", "a"] {
            let (key, empty) = (decision.copy(key.as_bytes()), decision.copy(b""));
            let (bytes, fan_out) = (key, FanOut::Everyone);
            decision.effects.push(Effect::Keep(Keep { key, rank: empty, form: 1, bytes, fan_out }));
            decision.effects.push(done());
        }
        let (host, mut keeps) = (LedgerHost::new(true), Keeps::default());
        keeps.perform(&host, &decision, Some(|input, key: &[u8]| input == 1 && key == b"a"), from(2), Instant::now());
        assert_eq!(*host.calls.lock().unwrap(), ["a", "flush"]);
        assert_eq!((accepted(&keeps), keeps.is_applied(0)), (vec![false, true], false));
    }

    #[test]
    fn keeps_come_from_the_client_of_their_input() {
        let mut decision = Decision::default();
        let key = decision.copy(b"a");
        let keep = Keep { key, rank: key, form: 1, bytes: key, fan_out: FanOut::Everyone };
        for effect in [done(), Effect::Keep(keep), Effect::Keep(keep), done(), Effect::Keep(keep)] {
            decision.effects.push(effect);
        }
        let host = LedgerHost::new(true);
        Keeps::default().perform(&host, &decision, None::<fn(usize, &[u8]) -> bool>, from(2), Instant::now());
        assert_eq!(*host.clients.lock().unwrap(), [2, 2, 0], "the last one is behind the last input");
    }

    #[test]
    fn keeps_that_the_log_did_not_take_are_not_accepted_but_news() {
        let keeps = keeps_of(&LedgerHost::new(false), "abcd");
        assert_eq!(accepted(&keeps), [false; 4]);
        let news: Vec<bool> = (0..4).map(|keep| keeps.is_applied(keep)).collect();
        assert_eq!(news, [true, false, false, false]);
    }
}
