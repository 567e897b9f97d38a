//! The asking node's part: calls every node, has the guest made ready on all that answer, and commits if all are.
//!
//! ```text
//! calling -> preparing -> settling -> answered        (a rollback needs no preparing)
//!    |           '-- somebody refused, or the herd swapped meanwhile: given up
//!    '-- another swap is first: rests a moment and calls again
//! ```
//!
//! Of two swaps at once one comes first. The other one is given up everywhere, and tries again only if the first did not
//! come to anything: whoever asked for it has not seen what serves now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::herd_state::HerdSwap;
use super::message::{Adopted, Attempt, Broadcast, Plan, Vote};
use super::participant::{NUMBERS_AHEAD_MAX, Participant};
use herd_model::Digest;

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Goal {
    /// Swap to a guest whose bytes are on the shelf.
    Swap(Plan),
    /// Go back to the guest before.
    RollBack,
}

/// A swap that this node was asked for.
pub(crate) struct Asking {
    goal: Goal,
    attempt: Attempt,
    phase: Phase,
    began: Instant,
    /// The herd's swap when this was asked for.
    asked_after: Option<HerdSwap>,
    /// The highest number that anybody who takes part knows of.
    number_max: u64,
    call_again: Instant,
    votes: BTreeMap<String, (Vote, Instant)>,
    lost: BTreeSet<String>,
}

enum Phase {
    Calling { until: Instant },
    Resting { until: Instant, first: String },
    Preparing { refused: Option<Instant> },
    Settling { swap: HerdSwap, until: Instant, taken: BTreeMap<String, Result<Adopted, String>> },
}

/// The herd has swapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it swapped to.
    pub swap: HerdSwap,
    /// What came of it at each node of the herd.
    pub nodes: BTreeMap<String, NodeOutcome>,
}

/// What came of a swap at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeOutcome {
    /// It serves.
    Serving {
        /// The number of the generation on its node.
        generation: u64,
        /// What the guest calls itself.
        name: String,
    },
    /// The node could not take it up, and serves what it did.
    Back(String),
    /// Nothing was heard of the node. It takes the swap up when it is back.
    Absent,
    /// The node took part and has not said yet that it serves.
    Pending,
}

/// The herd has not swapped. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSwapped {
    /// This node is busy with another one.
    #[error("another swap of the herd was asked for at this node, and is under way")]
    Busy,
    /// Others are.
    #[error("another swap of the herd is under way: {0}")]
    OtherSwap(String),
    /// It has swapped to something else in the meantime.
    #[error(
        "the herd swapped to {digest} meanwhile (swap {number}, by {who}); look at it, and ask again if you still want this"
    )]
    Meanwhile {
        /// The number of that swap.
        number: u64,
        /// To what.
        digest: String,
        /// By whom.
        who: String,
    },
    /// Some nodes cannot.
    #[error("{}", lines(.0))]
    Refused(BTreeMap<String, String>),
    /// Some nodes take too long.
    #[error("not ready after {}: {}", seconds(PREPARE_MAX), .0.join(", "))]
    Slow(Vec<String>),
    /// The herd has never swapped.
    #[error(
        "there is no previous generation to go back to: the herd has not swapped (herd rollback --node goes back on one node)"
    )]
    NoPrevious,
    /// It went back by itself.
    #[error(
        "the herd went back by itself, and nobody returns to what failed; herd swap GUEST --again tries it all the same"
    )]
    WentBack,
    /// The node stops.
    #[error("the node stops")]
    Stopping,
}

impl Participant {
    /// A swap is asked for at this node.
    pub(crate) fn ask(&mut self, goal: Goal, who: &str, now: Instant) {
        if self.asking.is_some() {
            return self.answer(Err(NotSwapped::Busy));
        }
        if let Goal::RollBack = goal {
            match &self.herd_state.swap {
                None => return self.answer(Err(NotSwapped::NoPrevious)),
                Some(HerdSwap { previous: None, .. }) => return self.answer(Err(NotSwapped::WentBack)),
                Some(_) => {}
            }
        }
        let attempt = self.round(who);
        self.asking = Some(Asking {
            goal,
            attempt: attempt.clone(),
            phase: Phase::Calling { until: now + CALL_MAX },
            began: now,
            asked_after: self.herd_state.swap.clone(),
            number_max: 0,
            call_again: now + CALL_EVERY,
            votes: BTreeMap::new(),
            lost: BTreeSet::new(),
        });
        self.call(attempt, now);
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn stop_asking(&mut self) {
        if let Some(asking) = self.asking.take() {
            if !matches!(asking.phase, Phase::Settling { .. }) {
                self.abort_attempt(asking.attempt, "the node that was asked stops");
            }
            self.answer(Err(NotSwapped::Stopping));
        }
    }

    fn call(&mut self, attempt: Attempt, now: Instant) {
        self.broadcast(Broadcast::Enlist(attempt.clone()));
        let node = self.node.clone();
        self.enlist(attempt, &node, now);
    }

    /// A node stands to a round like this.
    pub(crate) fn voted(&mut self, attempt: &Attempt, node: &str, vote: Vote, now: Instant) {
        let known = self.nodes.contains(node);
        // Nobody would take a swap of such a number for one.
        let absurd = self.herd_state.number().saturating_add(NUMBERS_AHEAD_MAX);
        if matches!(vote, Vote::Enlisted(number) if number > absurd) {
            return;
        }
        let Some(asking) = self.asking.as_mut().filter(|asking| asking.attempt == *attempt && known) else { return };
        asking.lost.remove(node);
        if let Vote::Enlisted(number) = vote {
            asking.number_max = asking.number_max.max(number);
        }
        asking.votes.insert(node.into(), (vote, now));
        self.go_on_asking(now);
    }

    /// Counts the silence of others from now on: this node did not listen.
    pub(crate) fn excuse_silence(&mut self, now: Instant) {
        if let Some(asking) = &mut self.asking {
            asking.votes.values_mut().for_each(|(_, heard)| *heard = now);
        }
    }

    /// A node has taken up a swap, or has not.
    pub(crate) fn heard_taken(&mut self, node: &str, number: u64, came: Result<Adopted, String>, now: Instant) {
        if let Some(Asking { phase: Phase::Settling { swap, taken, .. }, .. }) = &mut self.asking
            && swap.number == number
            && self.nodes.contains(node)
        {
            taken.insert(node.into(), came);
            self.go_on_asking(now);
        }
    }

    /// Does what is due of a swap that this node was asked for.
    pub(crate) fn go_on_asking(&mut self, now: Instant) {
        let Some(asking) = &mut self.asking else { return };
        let (attempt, began) = (asking.attempt.clone(), asking.began);
        let meanwhile = self.herd_state.swap.clone().filter(|swap| Some(swap) != asking.asked_after.as_ref());
        if let (Some(swap), false) = (meanwhile, matches!(asking.phase, Phase::Settling { .. })) {
            let HerdSwap { number, digest, who, .. } = swap;
            self.abort_attempt(attempt, "the herd swapped to something else");
            return self.end(Err(NotSwapped::Meanwhile { number, digest: digest.short(), who }));
        }
        match &mut asking.phase {
            Phase::Calling { until } => {
                if let Some(first) = asking.votes.values().find_map(|(vote, _)| vote.busy_with()) {
                    let first = first.to_string();
                    let rest = REST_MIN + REST_MIN.mul_f64(3.0 * share((self.random)()));
                    asking.phase = Phase::Resting { until: now + rest, first };
                    self.abort_attempt(attempt, "another swap is first");
                } else if asking.votes.len() == self.nodes.len() || now >= *until {
                    self.called_all(now);
                }
            }
            Phase::Resting { until, first } => {
                if now >= began + OTHER_SWAP_MAX {
                    let first = first.clone();
                    self.end(Err(NotSwapped::OtherSwap(first)));
                } else if now >= *until {
                    self.begin_anew(now);
                }
            }
            Phase::Preparing { .. } => self.go_on_having_prepared(attempt, now),
            Phase::Settling { until, taken, .. } => {
                let is_settled = |node: &String| taken.contains_key(node) || asking.lost.contains(node);
                if now >= *until || asking.votes.keys().all(is_settled) {
                    self.settled();
                }
            }
        }
    }

    fn begin_anew(&mut self, now: Instant) {
        let Some(who) = self.asking.as_ref().map(|asking| asking.attempt.who.clone()) else { return };
        let attempt = self.round(&who);
        if let Some(asking) = &mut self.asking {
            asking.attempt = attempt.clone();
            asking.votes.clear();
            asking.phase = Phase::Calling { until: now + CALL_MAX };
        }
        self.call(attempt, now);
    }

    /// Everybody who can be reached takes part.
    fn called_all(&mut self, now: Instant) {
        let Some(asking) = &mut self.asking else { return };
        let attempt = asking.attempt.clone();
        match asking.goal.clone() {
            Goal::Swap(plan) => {
                asking.phase = Phase::Preparing { refused: None };
                asking.call_again = now + CALL_EVERY;
                let node = self.node.clone();
                self.broadcast(Broadcast::Prepare(attempt.clone(), plan.clone()));
                self.prepare_candidate(attempt, plan, &node, now);
            }
            Goal::RollBack => {
                let Some(last) = self.herd_state.swap.clone() else { return };
                let Some(digest) = last.previous else { return };
                self.commit_to(digest, Some(last.digest), now);
            }
        }
    }

    fn go_on_having_prepared(&mut self, attempt: Attempt, now: Instant) {
        let Some(asking) = &mut self.asking else { return };
        let Phase::Preparing { refused } = &mut asking.phase else { return };
        // A node of which nothing is heard any more has not refused: it is absent, and hears of the swap when it is back.
        let silent = |(_, heard): &(Vote, Instant)| now.duration_since(*heard) >= LOST_AFTER;
        let others = asking.votes.iter().filter(|(node, _)| **node != self.node);
        let lost = others.filter(|(_, vote)| silent(vote)).map(|(node, _)| node.clone());
        asking.lost.extend(lost.collect::<Vec<_>>());
        let present = asking.votes.iter().filter(|(node, _)| !asking.lost.contains(*node));
        let votes: Vec<(&String, &Vote)> = present.map(|(node, (vote, _))| (node, vote)).collect();
        let refusals: BTreeMap<String, String> =
            votes.iter().filter_map(|(node, vote)| Some(((*node).clone(), vote.refusal()?))).collect();
        let pending: Vec<String> =
            votes.iter().filter(|(_, vote)| vote.is_pending()).map(|(node, _)| (*node).clone()).collect();
        if !refusals.is_empty() {
            let since = *refused.get_or_insert(now);
            if pending.is_empty() || now >= since + REFUSALS_MAX {
                let (node, why) = refusals.first_key_value().expect("there is one");
                self.abort_attempt(attempt, &format!("{node} refused: {why}"));
                self.end(Err(NotSwapped::Refused(refusals)));
            }
        } else if pending.is_empty() {
            let Goal::Swap(plan) = asking.goal.clone() else { return };
            let before = match &self.herd_state.swap {
                Some(swap) if swap.digest == plan.digest => swap.previous,
                Some(swap) => Some(swap.digest),
                None => Some(self.serving),
            };
            self.commit_to(plan.digest, before, now);
        } else if now >= asking.began + PREPARE_MAX {
            self.abort_attempt(attempt, "it took too long to make the guest ready everywhere");
            self.end(Err(NotSwapped::Slow(pending)));
        } else if now >= asking.call_again {
            asking.call_again = now + CALL_EVERY;
            let goal = asking.goal.clone();
            self.call(attempt.clone(), now);
            // A node that has come up meanwhile, or missed it, hears what is to be got ready.
            if let Goal::Swap(plan) = goal {
                self.broadcast(Broadcast::Prepare(attempt, plan));
            }
        }
    }

    fn commit_to(&mut self, digest: Digest, previous: Option<Digest>, now: Instant) {
        let Some(asking) = &mut self.asking else { return };
        let number = asking.number_max.max(self.herd_state.number()).saturating_add(1);
        let swap = HerdSwap { number, digest, previous, who: asking.attempt.to_string() };
        asking.phase = Phase::Settling { swap: swap.clone(), until: now + SETTLE_MAX, taken: BTreeMap::new() };
        let (attempt, is_rollback) = (asking.attempt.clone(), matches!(asking.goal, Goal::RollBack));
        self.commit(swap, now);
        if is_rollback {
            // There is no candidate that taking the swap up would end this with.
            self.abort_attempt(attempt, "it is over");
        }
    }

    fn settled(&mut self) {
        let Some(Asking { phase: Phase::Settling { swap, taken, .. }, votes, lost, .. }) = &self.asking else { return };
        let outcome = |node: &String| match taken.get(node) {
            Some(Ok(Adopted { generation, name })) => {
                NodeOutcome::Serving { generation: *generation, name: name.clone() }
            }
            Some(Err(why)) => NodeOutcome::Back(why.clone()),
            None if votes.contains_key(node) && !lost.contains(node) => NodeOutcome::Pending,
            None => NodeOutcome::Absent,
        };
        let nodes = self.nodes.iter().map(|node| (node.clone(), outcome(node))).collect();
        let swap = swap.clone();
        self.end(Ok(Outcome { swap, nodes }));
    }

    fn abort_attempt(&mut self, attempt: Attempt, why: &str) {
        self.broadcast(Broadcast::Abort(attempt.clone(), why.into()));
        if self.is_engaged_in(&attempt) {
            self.abort_engagement(why);
        }
    }

    /// The guest that this node was asked to swap to, and has in memory only.
    pub(crate) fn asked_for(&self) -> Option<Digest> {
        let Goal::Swap(plan) = &self.asking.as_ref()?.goal else { return None };
        Some(plan.digest)
    }

    fn end(&mut self, answer: Result<Outcome, NotSwapped>) {
        self.asking = None;
        self.answer(answer);
    }

    fn answer(&mut self, answer: Result<Outcome, NotSwapped>) {
        self.push(super::participant::Action::Answer(answer));
    }

    fn round(&mut self, who: &str) -> Attempt {
        Attempt { coordinator: self.node.clone(), nonce: (self.random)(), who: who.into() }
    }
}

impl Vote {
    fn busy_with(&self) -> Option<&str> {
        if let Self::Busy(first) = self { Some(first) } else { None }
    }

    fn refusal(&self) -> Option<String> {
        match self {
            Self::Refused(why) => Some(why.clone()),
            Self::Busy(first) => Some(format!("takes part in another swap: {first}")),
            Self::Enlisted(_) | Self::Ready => None,
        }
    }

    fn is_pending(&self) -> bool {
        matches!(self, Self::Enlisted(_))
    }
}

/// Random bits as a share of 1.
#[allow(clippy::cast_precision_loss, reason = "a pause for people")]
fn share(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Each reason once, behind the nodes that have it.
fn lines(refusals: &BTreeMap<String, String>) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (node, why) in refusals {
        match reasons.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, nodes)) => nodes.push(node),
            None => reasons.push((why, vec![node])),
        }
    }
    let lines: Vec<String> = reasons.iter().map(|(why, nodes)| format!("{}: {why}", nodes.join(", "))).collect();
    match &*lines {
        [one] => one.clone(),
        many => format!("\n  {}", many.join("\n  ")),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// Who is to take part has answered by then. Only a herd with absent nodes waits for so long.
const CALL_MAX: Duration = Duration::from_secs(1);
/// How often the nodes that take part are called again, so that each side knows that the other is there.
const CALL_EVERY: Duration = Duration::from_secs(1);
/// A node that has missed so many calls is absent.
const LOST_AFTER: Duration = Duration::from_secs(5);
/// When one node has refused, the others may say for so long that they do too.
const REFUSALS_MAX: Duration = Duration::from_secs(1);
/// A guest that carries its interpreter takes minutes to compile on a small machine.
const PREPARE_MAX: Duration = Duration::from_secs(240);
/// Taking up what is ready takes milliseconds.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// When another swap is first: between two calls, four times as much at most.
const REST_MIN: Duration = Duration::from_millis(50);
/// And how long it may be.
const OTHER_SWAP_MAX: Duration = Duration::from_secs(5);
