//! Herd of participants on virtual time, whose messages a test carries one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use herd_model::{Chunk, Digest, RollbackOptions, SwapOptions};

use crate::protocol::action::Action;
use crate::protocol::adoption::NotAdopted;
use crate::protocol::guest_store::GuestStore;
use crate::protocol::herd_state::{HerdSwap, SwapId};
use crate::protocol::message::{Adopted, Attempt, Message, Plan};
use crate::protocol::outcome::{NotSwapped, Outcome};
use crate::protocol::participant::Participant;
use crate::protocol::proposal::Operation;

/// Herd whose nodes are linked in a ring: A-B-C-D-E-A.
pub(crate) struct Net {
    pub(crate) nodes: BTreeMap<&'static str, Node>,
    pub(crate) links: BTreeSet<(&'static str, &'static str)>,
    pub(crate) carried: VecDeque<(&'static str, &'static str, Message)>,
    pub(crate) now: Instant,
    pub(crate) random: u64,
}

pub(crate) struct Node {
    pub(crate) participant: Participant,
    pub(crate) alive: bool,
    pub(crate) disk: Disk,
    /// Guest of the previous generation.
    pub(crate) previous: Option<Digest>,
    /// Guests that failed their probation here. Stored with the rest.
    pub(crate) failed: BTreeSet<Digest>,
    /// True if the active generation is on probation.
    pub(crate) on_probation: bool,
    /// True if a candidate, named first, can read the records that the active guest writes.
    pub(crate) reads: fn(Digest, Digest) -> bool,
    /// Guests that the host refuses, with the reason.
    pub(crate) refuses: BTreeMap<Digest, &'static str>,
    /// Guests that fail the rehearsal of this node, with the reason. The host does not rehearse when it adopts.
    pub(crate) fails_rehearsal: BTreeMap<Digest, &'static str>,
    /// Preparations stay in `held` until the test ends them.
    pub(crate) slow: bool,
    /// Its adoptions last until [`end_adoption`](Self::end_adoption).
    pub(crate) adopts_late: bool,
    adopting: Option<(HerdSwap, bool)>,
    /// The host postpones every adoption.
    pub(crate) busy: bool,
    /// The host rolls back to this guest as soon as it activates another one, and reports that before the activation.
    pub(crate) faults_at_once: Option<Digest>,
    pub(crate) held: Vec<(Attempt, Plan)>,
    pub(crate) candidate: Option<Digest>,
    pub(crate) generation: u64,
    pub(crate) answers: Vec<Result<Outcome, NotSwapped>>,
    /// Transcripts that the last candidate came with.
    pub(crate) transcripts: Option<Digest>,
    /// Signatures that the last candidate or adopted guest came with.
    pub(crate) signatures: Option<Digest>,
    /// The host refuses guests without signatures.
    pub(crate) requires_signature: bool,
    /// Error of every write.
    pub(crate) disk_error: Option<&'static str>,
    pub(crate) aborted: Vec<String>,
    /// Chunks received from peers.
    pub(crate) chunks_received: usize,
    /// Swaps of the herd whose guest the host has activated. Stored.
    pub(crate) activated: Vec<SwapId>,
    /// Swaps after which the host has forgotten what it kept, once each. Stored.
    pub(crate) discarded: Vec<SwapId>,
}

/// Guest store: memory over disk. Signatures by their guest lie in a third map.
#[derive(Default)]
struct MemoryOverDisk(HashMap<Digest, Arc<[u8]>>, Disk, HashMap<Digest, Arc<[u8]>>);

#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<HashMap<Digest, Arc<[u8]>>>>);

impl Disk {
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Arc<[u8]>>> {
        self.0.lock().unwrap()
    }
}

impl GuestStore for MemoryOverDisk {
    fn signatures(&mut self, guest: Digest) -> Option<Arc<[u8]>> {
        self.signatures_in_memory(guest)
    }

    fn sign(&mut self, guest: Digest, signatures: Arc<[u8]>) {
        self.1.lock().insert(Digest::of(&signatures), Arc::clone(&signatures));
        self.2.insert(guest, signatures);
    }

    fn signatures_in_memory(&self, guest: Digest) -> Option<Arc<[u8]>> {
        self.2.get(&guest).cloned()
    }

    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>> {
        self.0.get(&digest).cloned().or_else(|| self.1.lock().get(&digest).cloned())
    }

    fn chunk(&mut self, digest: Digest, offset: u64, bytes_max: usize) -> Option<(u64, Vec<u8>)> {
        Some(Chunk::part(&self.find(digest)?, offset, bytes_max))
    }

    fn in_memory(&self, digest: Digest) -> Option<Arc<[u8]>> {
        self.0.get(&digest).cloned()
    }

    fn cache(&mut self, digest: Digest, bytes: Arc<[u8]>) {
        self.0.insert(digest, bytes);
    }

    fn retain_only(&mut self, wanted: &[Digest]) {
        self.0.retain(|digest, _| wanted.contains(digest));
    }
}

pub(crate) const CANDIDATE_MAX: Duration = Duration::from_secs(5);
pub(crate) const NAMES: [&str; 5] = ["A", "B", "C", "D", "E"];
pub(crate) const RING: [(&str, &str); 5] = [("A", "B"), ("B", "C"), ("C", "D"), ("D", "E"), ("A", "E")];

/// Bytes of a guest, long enough for several chunks.
pub(crate) fn bytes(name: &str) -> Arc<[u8]> {
    name.repeat(300_000).into_bytes().into()
}

pub(crate) fn guest(name: &str) -> Digest {
    // Hashing takes milliseconds, and a test of random sequences asks thousands of times.
    static KNOWN: Mutex<BTreeMap<String, Digest>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    *known.entry(name.into()).or_insert_with(|| Digest::of(&bytes(name)))
}

impl Net {
    pub(crate) fn new() -> Self {
        let mut net = Self {
            nodes: BTreeMap::new(),
            links: BTreeSet::new(),
            carried: VecDeque::new(),
            now: Instant::now(),
            random: 0,
        };
        for name in NAMES {
            let participant = net.participant(name);
            net.nodes.insert(name, participant);
        }
        RING.iter().for_each(|&(left, right)| net.link(left, right));
        net.settle();
        net
    }

    fn participant(&mut self, name: &str) -> Node {
        self.random += 1_000_000;
        let mut next = self.random;
        let random = move || {
            next += 1;
            next.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let nodes = NAMES.iter().map(ToString::to_string).collect();
        let disk = Disk::default();
        disk.lock().insert(guest("old"), bytes("old"));
        let guests = MemoryOverDisk(HashMap::new(), disk.clone(), HashMap::new());
        Node {
            participant: Participant::new(
                name,
                nodes,
                guest("old"),
                Box::new(guests),
                Box::new(random),
                CANDIDATE_MAX,
                self.now,
            ),
            alive: true,
            disk,
            previous: None,
            failed: BTreeSet::new(),
            on_probation: false,
            reads: |_, _| true,
            refuses: BTreeMap::new(),
            fails_rehearsal: BTreeMap::new(),
            slow: false,
            adopts_late: false,
            adopting: None,
            busy: false,
            faults_at_once: None,
            held: Vec::new(),
            candidate: None,
            generation: 1,
            answers: Vec::new(),
            transcripts: None,
            signatures: None,
            requires_signature: false,
            disk_error: None,
            aborted: Vec::new(),
            chunks_received: 0,
            activated: Vec::new(),
            discarded: Vec::new(),
        }
    }

    pub(crate) fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap()
    }

    pub(crate) fn link(&mut self, left: &'static str, right: &'static str) {
        self.links.insert((left, right));
        let now = self.now;
        self.node(left).participant.linked(right, now);
        self.node(right).participant.linked(left, now);
    }

    pub(crate) fn cut(&mut self, left: &'static str, right: &'static str) {
        if self.links.remove(&(left, right)) {
            self.node(left).participant.unlinked(right);
            self.node(right).participant.unlinked(left);
            self.carried.retain(|&(from, to, _)| (from, to) != (left, right) && (from, to) != (right, left));
        }
    }

    pub(crate) fn cut_off(&mut self, name: &'static str) {
        for (left, right) in RING.into_iter().filter(|&(left, right)| left == name || right == name) {
            self.cut(left, right);
        }
    }

    pub(crate) fn kill(&mut self, name: &'static str) {
        self.cut_off(name);
        self.node(name).alive = false;
    }

    /// Restarts a node with what it had stored.
    pub(crate) fn restart(&mut self, name: &'static str) {
        let old = self.nodes.remove(name).unwrap();
        let mut new = self.participant(name);
        new.participant.herd_state = old.participant.herd_state;
        new.participant.applied = old.participant.applied;
        new.participant.serving = old.participant.serving;
        (new.refuses, new.generation, new.reads) = (old.refuses, old.generation, old.reads);
        (new.previous, new.failed, new.requires_signature) = (old.previous, old.failed, old.requires_signature);
        (new.activated, new.discarded) = (old.activated, old.discarded);
        // The previous generation is loaded again, and the active one starts a new probation.
        new.on_probation = new.previous.is_some();
        new.tell_previous();
        new.disk.lock().extend(old.disk.lock().drain());
        self.nodes.insert(name, new);
        for (left, right) in RING.into_iter().filter(|&(left, right)| left == name || right == name) {
            let other = if left == name { right } else { left };
            if self.nodes[other].alive {
                self.link(left, right);
            }
        }
    }

    pub(crate) fn propose(&mut self, name: &'static str, what: &str) {
        self.propose_with(name, what, SwapOptions::default());
    }

    pub(crate) fn propose_with(&mut self, name: &'static str, what: &str, options: SwapOptions) {
        self.propose_plan(name, Plan { digest: guest(what), options, transcripts: None, signatures: None }, &[what]);
    }

    /// Proposes a swap to a guest with transcripts beside it.
    pub(crate) fn propose_tested(&mut self, name: &'static str, what: &str, transcripts: &str) {
        let (digest, options) = (guest(what), SwapOptions::default());
        let plan = Plan { digest, options, transcripts: Some(guest(transcripts)), signatures: None };
        self.propose_plan(name, plan, &[what, transcripts]);
    }

    /// Proposes a swap to a guest with signatures beside it.
    pub(crate) fn propose_signed(&mut self, name: &'static str, what: &str, signatures: &str) {
        let (digest, options) = (guest(what), SwapOptions::default());
        let plan = Plan { digest, options, transcripts: None, signatures: Some(guest(signatures)) };
        self.node(name).participant.guests().sign(digest, bytes(signatures));
        self.propose_plan(name, plan, &[what]);
    }

    fn propose_plan(&mut self, name: &'static str, plan: Plan, files: &[&str]) {
        let now = self.now;
        let participant = &mut self.node(name).participant;
        files.iter().for_each(|file| participant.guests().cache(guest(file), bytes(file)));
        participant.propose(0, Operation::Swap(plan), "mira", now);
    }

    /// Swaps the herd, which must succeed.
    pub(crate) fn swap(&mut self, name: &'static str, what: &str) {
        self.propose(name, what);
        self.settle();
        self.answer(name).unwrap();
    }

    pub(crate) fn roll_back(&mut self, name: &'static str) {
        self.roll_back_with(name, RollbackOptions::default());
    }

    pub(crate) fn roll_back_with(&mut self, name: &'static str, options: RollbackOptions) {
        let now = self.now;
        self.node(name).participant.propose(0, Operation::RollBack(options), "mira", now);
    }

    /// Performs actions and carries messages until none is left.
    pub(crate) fn settle(&mut self) {
        loop {
            for name in NAMES {
                self.perform(name);
            }
            let Some((from, to, message)) = self.carried.pop_front() else { return };
            let now = self.now;
            let node = self.node(to);
            if node.alive {
                node.chunks_received += usize::from(matches!(message, Message::Chunk(_)));
                node.participant.receive(from, message, now);
            }
        }
    }

    pub(crate) fn perform(&mut self, name: &'static str) {
        let (now, links) = (self.now, self.links.clone());
        let linked = |other: &&&str| links.contains(&(name, **other)) || links.contains(&(**other, name));
        let neighbours: Vec<&'static str> = NAMES.iter().filter(linked).copied().collect();
        loop {
            let node = self.nodes.get_mut(name).unwrap();
            let actions: Vec<Action> = node.participant.actions().collect();
            if actions.is_empty() {
                return;
            }
            if !node.alive {
                return;
            }
            for action in actions {
                match action {
                    Action::Send(peer, message) => {
                        let to = neighbours.iter().find(|other| **other == peer);
                        self.carried.extend(to.map(|to| (name, *to, message)));
                    }
                    Action::SendToAll(except, message) => {
                        let others = neighbours.iter().filter(|other| Some(**other) != except.as_deref());
                        self.carried.extend(others.map(|to| (name, *to, message.clone())));
                    }
                    Action::Prepare { attempt, plan, files } => {
                        assert_eq!(Digest::of(&files.guest), plan.digest);
                        assert_eq!(files.transcripts.as_deref().map(Digest::of), plan.transcripts);
                        assert_eq!(files.signatures.as_deref().map(Digest::of), plan.signatures);
                        (node.transcripts, node.signatures) = (plan.transcripts, plan.signatures);
                        assert_eq!(node.candidate, None, "one candidate at a time");
                        node.held.push((attempt, plan));
                        if !node.slow {
                            node.prepare(now);
                        }
                    }
                    Action::Abort { digest, why, .. } => {
                        assert_eq!(node.candidate.take(), Some(digest));
                        node.aborted.push(why);
                    }
                    Action::Adopt { swap, files } => {
                        if let Some(files) = &files {
                            node.transcripts = files.transcripts.as_deref().map(Digest::of);
                            node.signatures = files.signatures.as_deref().map(Digest::of);
                        }
                        if node.adopts_late {
                            node.adopting = Some((swap, files.is_some()));
                        } else {
                            node.adopt(&swap, files.is_some(), now);
                        }
                    }
                    Action::Persist => {
                        let serving = node.participant.serving;
                        let swap = node.participant.herd_state.swap.clone();
                        let written = [Some(serving), swap.and_then(|swap| swap.transcripts)].into_iter().flatten();
                        for digest in written.filter(|_| node.disk_error.is_none()) {
                            if let Some(bytes) = node.participant.guests().find(digest) {
                                node.disk.lock().insert(digest, bytes);
                            }
                        }
                    }
                    Action::Answer(_, answer) => node.answers.push(answer),
                }
            }
            node.participant.report_adoption(node.disk_error, now);
        }
    }

    /// Lets time pass, in steps with a tick each.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += Duration::from_millis(50);
            let now = self.now;
            for name in NAMES {
                let node = self.node(name);
                if node.alive {
                    node.participant.tick(now);
                }
            }
            self.settle();
        }
    }

    pub(crate) fn serving(&self) -> Vec<Digest> {
        self.nodes.values().map(|node| node.participant.serving).collect()
    }

    pub(crate) fn answer(&mut self, name: &str) -> Result<Outcome, NotSwapped> {
        let answers = &mut self.node(name).answers;
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    pub(crate) fn assert_at_rest(&self) {
        for (name, node) in self.nodes.iter().filter(|(_, node)| node.alive) {
            assert!(!node.participant.is_busy() && node.candidate.is_none(), "{name}");
        }
    }
}

impl Node {
    /// Ends the preparations that are held up.
    pub(crate) fn prepare(&mut self, now: Instant) {
        for (attempt, plan) in std::mem::take(&mut self.held) {
            let refused = self.refusal(plan.digest, plan.options, true);
            if refused.is_none() {
                self.candidate = Some(plan.digest);
            }
            self.participant.prepared(&attempt, plan.digest, refused.map_or(Ok(()), Err), now);
        }
    }

    /// Swaps this node alone. False if that is refused.
    pub(crate) fn swap_alone(&mut self, what: &str, options: SwapOptions) -> bool {
        let is_refused = self.refusal(guest(what), options, true).is_some();
        if is_refused || self.candidate.is_some() || !self.held.is_empty() {
            return false;
        }
        self.activate(guest(what));
        self.participant.guests().cache(guest(what), bytes(what));
        self.participant.serving_changed(guest(what));
        true
    }

    /// Rolls this node alone back, if it can.
    pub(crate) fn roll_back_alone(&mut self) {
        if let Some(previous) = self.previous.filter(|previous| !self.failed.contains(previous)) {
            self.roll_back_to(previous);
            self.participant.serving_changed(previous);
        }
    }

    /// The active guest faults too often. On probation, the node rolls back.
    pub(crate) fn fault(&mut self, now: Instant) {
        let from = self.participant.serving;
        if let Some(previous) = self.previous.filter(|previous| self.on_probation && !self.failed.contains(previous)) {
            self.failed.insert(from);
            self.roll_back_to(previous);
            self.participant.rolled_back(from, previous, "8 faults within 10 s".into(), now);
        }
    }

    /// Ends the adoption that is under way.
    pub(crate) fn end_adoption(&mut self, now: Instant) {
        let (swap, has_bytes) = self.adopting.take().expect("an adoption is under way");
        self.adopt(&swap, has_bytes, now);
    }

    /// Adopts a swap as the adapter of the node does.
    fn adopt(&mut self, swap: &HerdSwap, has_bytes: bool, now: Instant) {
        let before = self.participant.serving;
        if self.busy {
            let busy = Err(NotAdopted::RetryLater("busy".into()));
            return self.participant.adopted(swap, busy, before, now);
        }
        let is_ready = self.candidate.take_if(|candidate| *candidate == swap.digest).is_some();
        let previous = self.previous.filter(|previous| !self.failed.contains(previous));
        let accepted = SwapOptions { again: true, force: swap.force, ..SwapOptions::default() };
        let refused = if before == swap.digest {
            None
        } else if !is_ready && previous == Some(swap.digest) {
            self.roll_back_to(swap.digest);
            None
        } else {
            assert!(is_ready || has_bytes);
            let refused = self.refusal(swap.digest, accepted, false).filter(|_| !is_ready);
            if refused.is_none() {
                self.activate(swap.digest);
            }
            refused
        };
        let mut live = if refused.is_some() { before } else { swap.digest };
        if let Some(back) = self.faults_at_once.filter(|_| refused.is_none()) {
            live = back;
            self.participant.rolled_back(swap.digest, back, "8 faults within 10 s".into(), now);
        }
        let discarded = if refused.is_none() { self.discard(swap) } else { None };
        let adopted = Adopted { generation: self.generation, name: "guest".into(), unread: 0, discarded };
        let result = refused.map_or(Ok(adopted), |why| Err(NotAdopted::Refused(why)));
        self.participant.adopted(swap, result, live, now);
    }

    /// Forgets what was kept after the swaps that this one discards, one record each.
    fn discard(&mut self, swap: &HerdSwap) -> Option<Result<u64, String>> {
        let before = self.discarded.len();
        for undone in &swap.discards {
            if self.activated.contains(undone) && !self.discarded.contains(undone) {
                self.discarded.push(*undone);
            }
        }
        if !self.activated.contains(&swap.id()) {
            self.activated.push(swap.id());
        }
        let discarded = (self.discarded.len() - before) as u64;
        (discarded > 0 || swap.discards_records()).then_some(Ok(discarded))
    }

    /// Reason why the host refuses a guest.
    fn refusal(&self, digest: Digest, options: SwapOptions, rehearses: bool) -> Option<String> {
        let SwapOptions { again, unrehearsed, force, .. } = options;
        if self.failed.contains(&digest) && !again && !force {
            return Some("not tried again: it failed its probation".into());
        }
        if self.requires_signature && self.signatures.is_none() {
            return Some("not parsed: it is not signed".into());
        }
        if !(self.reads)(digest, self.participant.serving) && !force {
            return Some("not checked: it cannot read the records".into());
        }
        let fails = self.fails_rehearsal.get(&digest).filter(|_| rehearses && !unrehearsed && !force);
        self.refuses.get(&digest).or(fails).map(|why| (*why).into())
    }

    fn activate(&mut self, digest: Digest) {
        self.previous = Some(self.participant.serving);
        (self.on_probation, self.generation) = (true, self.generation + 1);
        self.participant.serving = digest;
        self.tell_previous();
    }

    fn roll_back_to(&mut self, digest: Digest) {
        self.previous = Some(self.participant.serving);
        self.on_probation = false;
        self.participant.serving = digest;
        self.tell_previous();
    }

    /// Tells the participant, as the driver does before each event.
    fn tell_previous(&mut self) {
        self.participant.previous = self.previous.filter(|previous| !self.failed.contains(previous));
    }
}
