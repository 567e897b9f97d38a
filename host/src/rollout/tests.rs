//! Whole herds of members on virtual time: what each says is carried by hand, so cuts, deaths and delays happen where a test
//! wants them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::asking::{Goal, NodeOutcome, NotSwapped, Outcome};
use super::member::{Member, Order, Shelf};
use super::message::{Message, Plan, Taken, Vote, Word};
use super::standing::{HerdSwap, Standing};
use super::taking::NotTaken;
use crate::runtime::Digest;
use crate::wish::SwapWish;

/// A herd whose nodes are linked in a ring, with one node in the middle of nothing: A-B-C-D-E-A.
struct Net {
    nodes: BTreeMap<&'static str, Node>,
    links: BTreeSet<(&'static str, &'static str)>,
    carried: VecDeque<(&'static str, &'static str, Message)>,
    now: Instant,
    random: u64,
}

struct Node {
    member: Member,
    alive: bool,
    disk: Disk,
    /// Guests that it cannot run.
    refuses: BTreeMap<Digest, &'static str>,
    /// What it was told to make ready and has not, if it is slow.
    slow: bool,
    /// It can take up nothing at the moment.
    busy: bool,
    /// It goes back to this as soon as it serves something else, and says so before it says that it serves that.
    faults_at_once: Option<Digest>,
    held: Vec<(super::message::Round, Digest)>,
    candidate: Option<Digest>,
    generation: u64,
    answers: Vec<Result<Outcome, NotSwapped>>,
    forgotten: Vec<String>,
    /// Guests that it got from a peer.
    fetched: usize,
}

/// What is in memory, over what is on the disk.
#[derive(Default)]
struct Shelved(HashMap<Digest, Arc<[u8]>>, Disk);

#[derive(Clone, Default)]
struct Disk(Arc<Mutex<HashMap<Digest, Arc<[u8]>>>>);

impl Disk {
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Arc<[u8]>>> {
        self.0.lock().unwrap()
    }
}

impl Shelf for Shelved {
    fn find(&mut self, digest: Digest) -> Option<Arc<[u8]>> {
        self.0.get(&digest).cloned().or_else(|| self.1.lock().get(&digest).cloned())
    }

    fn hold(&mut self, digest: Digest, bytes: Arc<[u8]>) {
        self.0.insert(digest, bytes);
    }

    fn keep_only(&mut self, wanted: &[Digest]) {
        self.0.retain(|digest, _| wanted.contains(digest));
    }
}

const CANDIDATE_MAX: Duration = Duration::from_secs(30);
const NAMES: [&str; 5] = ["A", "B", "C", "D", "E"];
const RING: [(&str, &str); 5] = [("A", "B"), ("B", "C"), ("C", "D"), ("D", "E"), ("A", "E")];

/// Long enough for several parts.
fn bytes(name: &str) -> Arc<[u8]> {
    name.repeat(300_000).into_bytes().into()
}

fn guest(name: &str) -> Digest {
    Digest::of(&bytes(name))
}

impl Net {
    fn new() -> Self {
        let mut net = Self {
            nodes: BTreeMap::new(),
            links: BTreeSet::new(),
            carried: VecDeque::new(),
            now: Instant::now(),
            random: 0,
        };
        for name in NAMES {
            let member = net.member(name);
            net.nodes.insert(name, member);
        }
        RING.iter().for_each(|&(left, right)| net.link(left, right));
        net.settle();
        net
    }

    fn member(&mut self, name: &str) -> Node {
        self.random += 1_000_000;
        let mut next = self.random;
        let random = move || {
            next += 1;
            next.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let nodes = NAMES.iter().map(ToString::to_string).collect();
        let disk = Disk::default();
        disk.lock().insert(guest("old"), bytes("old"));
        let shelf = Shelved(HashMap::new(), disk.clone());
        Node {
            member: Member::new(name, nodes, guest("old"), Box::new(shelf), Box::new(random), CANDIDATE_MAX, self.now),
            alive: true,
            disk,
            refuses: BTreeMap::new(),
            slow: false,
            busy: false,
            faults_at_once: None,
            held: Vec::new(),
            candidate: None,
            generation: 1,
            answers: Vec::new(),
            forgotten: Vec::new(),
            fetched: 0,
        }
    }

    fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap()
    }

    fn link(&mut self, left: &'static str, right: &'static str) {
        self.links.insert((left, right));
        self.node(left).member.linked(right);
        self.node(right).member.linked(left);
    }

    fn cut(&mut self, left: &'static str, right: &'static str) {
        if self.links.remove(&(left, right)) {
            self.node(left).member.unlinked(right);
            self.node(right).member.unlinked(left);
            self.carried.retain(|&(from, to, _)| (from, to) != (left, right) && (from, to) != (right, left));
        }
    }

    fn cut_off(&mut self, name: &'static str) {
        for (left, right) in RING.into_iter().filter(|&(left, right)| left == name || right == name) {
            self.cut(left, right);
        }
    }

    fn kill(&mut self, name: &'static str) {
        self.cut_off(name);
        self.node(name).alive = false;
    }

    /// A node comes back with what it had written down.
    fn start_again(&mut self, name: &'static str) {
        let old = self.nodes.remove(name).unwrap();
        let mut new = self.member(name);
        new.member.standing = old.member.standing;
        new.member.applied = old.member.applied;
        new.member.serving = old.member.serving;
        (new.refuses, new.generation) = (old.refuses, old.generation);
        new.disk.lock().extend(old.disk.lock().drain());
        self.nodes.insert(name, new);
        for (left, right) in RING.into_iter().filter(|&(left, right)| left == name || right == name) {
            let other = if left == name { right } else { left };
            if self.nodes[other].alive {
                self.link(left, right);
            }
        }
    }

    fn ask(&mut self, name: &'static str, what: &str) {
        let plan = Plan { digest: guest(what), wish: SwapWish::default() };
        let now = self.now;
        let member = &mut self.node(name).member;
        member.shelf().hold(guest(what), bytes(what));
        member.ask(Goal::Swap(plan), "mira", now);
    }

    fn roll_back(&mut self, name: &'static str) {
        let now = self.now;
        self.node(name).member.ask(Goal::RollBack, "mira", now);
    }

    /// Does and carries what there is, until there is nothing more.
    fn settle(&mut self) {
        loop {
            for name in NAMES {
                self.obey(name);
            }
            let Some((from, to, message)) = self.carried.pop_front() else { return };
            let now = self.now;
            let node = self.node(to);
            if node.alive {
                node.fetched += usize::from(matches!(message, Message::Part(_)));
                node.member.hear(from, message, now);
            }
        }
    }

    fn obey(&mut self, name: &'static str) {
        let (now, links) = (self.now, self.links.clone());
        let linked = |other: &&&str| links.contains(&(name, **other)) || links.contains(&(**other, name));
        let neighbours: Vec<&'static str> = NAMES.iter().filter(linked).copied().collect();
        loop {
            let node = self.nodes.get_mut(name).unwrap();
            let orders: Vec<Order> = node.member.orders().collect();
            if orders.is_empty() {
                return;
            }
            if !node.alive {
                return;
            }
            for order in orders {
                match order {
                    Order::Tell(peer, message) => {
                        let to = neighbours.iter().find(|other| **other == peer);
                        self.carried.extend(to.map(|to| (name, *to, message)));
                    }
                    Order::TellAll(except, message) => {
                        let others = neighbours.iter().filter(|other| Some(**other) != except.as_deref());
                        self.carried.extend(others.map(|to| (name, *to, message.clone())));
                    }
                    Order::Prepare { round, plan, guest } => {
                        assert_eq!(Digest::of(&guest), plan.digest);
                        assert_eq!(node.candidate, None, "one candidate at a time");
                        node.held.push((round, plan.digest));
                        if !node.slow {
                            node.prepare(now);
                        }
                    }
                    Order::Forget { digest, why, .. } => {
                        assert_eq!(node.candidate.take(), Some(digest));
                        node.forgotten.push(why);
                    }
                    Order::TakeUp { swap, guest } => {
                        let ready = node.candidate.take_if(|candidate| *candidate == swap.digest).is_some();
                        assert!(ready || guest.is_some());
                        let refused = node.refuses.get(&swap.digest).map(|why| NotTaken::Refused((*why).into()));
                        node.generation += 1;
                        let taken = Taken { generation: node.generation, name: "guest".into() };
                        let mut live = if refused.is_some() { node.member.serving } else { swap.digest };
                        if let Some(back) = node.faults_at_once.filter(|_| refused.is_none()) {
                            live = back;
                            node.member.went_back(swap.digest, back, "8 faults within 10 s".into(), now);
                        }
                        let busy = node.busy.then(|| NotTaken::NotNow("busy".into()));
                        if busy.is_some() {
                            live = node.member.serving;
                        }
                        node.member.took_up(&swap, busy.or(refused).map_or(Ok(taken), Err), live, now);
                    }
                    Order::Remember => {
                        let serving = node.member.serving;
                        if let Some(guest) = node.member.shelf().find(serving) {
                            node.disk.lock().insert(serving, guest);
                        }
                    }
                    Order::Answer(answer) => node.answers.push(answer),
                }
            }
        }
    }

    /// Lets time pass, in steps as a node does.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += Duration::from_millis(50);
            let now = self.now;
            for name in NAMES {
                let node = self.node(name);
                if node.alive {
                    node.member.tick(now);
                }
            }
            self.settle();
        }
    }

    fn serving(&self) -> Vec<Digest> {
        self.nodes.values().map(|node| node.member.serving).collect()
    }

    fn answer(&mut self, name: &str) -> Result<Outcome, NotSwapped> {
        let answers = &mut self.node(name).answers;
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    fn assert_at_rest(&self) {
        for (name, node) in self.nodes.iter().filter(|(_, node)| node.alive) {
            assert!(!node.member.is_busy() && node.candidate.is_none(), "{name}");
        }
    }
}

impl Node {
    fn prepare(&mut self, now: Instant) {
        for (round, digest) in std::mem::take(&mut self.held) {
            let refused = self.refuses.get(&digest).map(|why| (*why).to_string());
            if refused.is_none() {
                self.candidate = Some(digest);
            }
            self.member.prepared(&round, digest, refused.map_or(Ok(()), Err), now);
        }
    }
}

#[test]
fn a_guest_comes_to_every_node_whoever_is_asked() {
    let mut net = Net::new();
    net.ask("C", "new");
    net.settle();
    let outcome = net.answer("C").unwrap();
    assert_eq!((outcome.swap.number, outcome.swap.previous), (1, Some(guest("old"))));
    assert!(
        outcome.nodes.values().all(|node| matches!(node, NodeOutcome::Serving { generation: 2, .. })),
        "{outcome:?}"
    );
    assert_eq!(net.serving(), [guest("new"); 5]);
    let fetched: Vec<usize> = net.nodes.values().map(|node| node.fetched).collect();
    assert!(
        fetched[2] == 0 && [0, 1, 3, 4].iter().all(|&node| fetched[node] >= 4),
        "in parts, over the links: {fetched:?}"
    );
    net.assert_at_rest();
    net.roll_back("A");
    net.settle();
    assert_eq!(net.answer("A").unwrap().swap.number, 2);
    assert_eq!(net.serving(), [guest("old"); 5]);
    net.roll_back("B");
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5], "a second rollback undoes the first");
    net.assert_at_rest();
}

#[test]
fn one_node_that_refuses_leaves_every_node_on_the_old_one() {
    let mut net = Net::new();
    net.node("D").refuses.insert(guest("new"), "not checked: no room");
    net.ask("A", "new");
    net.settle();
    net.pass(Duration::from_secs(2));
    let refused = net.answer("A").unwrap_err();
    assert_eq!(refused.to_string(), "D: not checked: no room");
    assert_eq!(net.serving(), [guest("old"); 5]);
    assert!(net.node("B").forgotten[0].contains("D refused: not checked: no room"));
    net.assert_at_rest();
}

#[test]
fn a_node_that_is_away_is_named_and_takes_it_up_when_it_is_back() {
    let mut net = Net::new();
    net.kill("D");
    net.ask("A", "new");
    net.pass(Duration::from_secs(2));
    let outcome = net.answer("A").unwrap();
    assert_eq!(outcome.nodes["D"], NodeOutcome::Absent);
    net.start_again("D");
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

#[test]
fn of_two_operators_at_once_one_is_first_and_the_other_is_told_what_serves_now() {
    let mut net = Net::new();
    net.ask("A", "new");
    net.ask("C", "other");
    net.settle();
    net.pass(Duration::from_secs(6));
    let answers = [net.answer("A"), net.answer("C")];
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let (won, lost) = (won[0].as_ref().unwrap(), lost[0].as_ref().unwrap_err());
    assert!(
        matches!(lost, NotSwapped::Meanwhile { number: 1, digest, .. } if *digest == won.swap.digest.short()),
        "{lost:?}"
    );
    assert_eq!(net.serving(), [won.swap.digest; 5]);
    net.assert_at_rest();
}

#[test]
fn an_asking_node_that_dies_before_it_commits_changes_nothing_and_its_candidates_go() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.ask("A", "new");
    net.settle();
    assert_eq!(net.node("B").candidate, Some(guest("new")), "the others are ready");
    net.kill("A");
    net.pass(Duration::from_secs(1));
    let now = net.now;
    net.node("D").prepare(now);
    net.pass(CANDIDATE_MAX + Duration::from_secs(1));
    assert!(net.node("B").forgotten[0].contains("nothing was heard of the node that asked for 30 s"));
    net.assert_at_rest();
    net.start_again("A");
    net.pass(Duration::from_secs(1));
    assert_eq!(net.serving(), [guest("old"); 5]);
    net.node("D").slow = false;
    net.ask("B", "new");
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5], "and nothing is in the way of the next swap");
}

#[test]
fn a_commit_that_one_neighbour_heard_is_the_herds_even_if_the_asking_node_dies() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.ask("A", "new");
    net.settle();
    let now = net.now;
    net.node("D").prepare(now);
    // Step by step, up to the moment at which the asking node has said it to one of its neighbours.
    let committed = |message: &Message| matches!(message, Message::Standing(standing) if standing.number() == 1);
    while !net.carried.iter().any(|(from, _, message)| *from == "A" && committed(message)) {
        NAMES.into_iter().for_each(|name| net.obey(name));
        if !net.carried.iter().any(|(from, _, message)| *from == "A" && committed(message)) {
            let (from, to, message) = net.carried.pop_front().unwrap();
            net.node(to).member.hear(from, message, now);
        }
    }
    net.carried.retain(|(from, to, message)| *from != "A" || (*to == "E" && committed(message)));
    let heard = net.carried.clone();
    net.kill("A");
    net.carried = heard;
    net.settle();
    assert_eq!(net.serving()[1..], [guest("new"); 4]);
    net.start_again("A");
    net.settle();
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

#[test]
fn halves_of_a_herd_that_was_cut_agree_when_it_is_whole() {
    for more_on_the_left in [false, true] {
        let mut net = Net::new();
        net.cut("B", "C");
        net.cut("A", "E");
        net.ask("A", "left");
        net.ask("D", "right");
        net.pass(Duration::from_secs(2));
        let (left, right) = (net.answer("A").unwrap(), net.answer("D").unwrap());
        assert_eq!((left.swap.number, right.swap.number), (1, 1));
        assert_eq!(left.nodes["C"], NodeOutcome::Absent);
        assert_eq!(right.nodes["B"], NodeOutcome::Absent);
        if more_on_the_left {
            net.ask("B", "newest");
            net.pass(Duration::from_secs(2));
            net.answer("B").unwrap();
        }
        net.link("B", "C");
        net.settle();
        let wins = if more_on_the_left { guest("newest") } else { guest("left").max(guest("right")) };
        assert_eq!(net.serving(), [wins; 5], "the higher number, and then the greater digest");
        net.assert_at_rest();
    }
}

#[test]
fn a_node_that_went_back_stays_back_and_half_of_them_take_the_herd_along() {
    let mut net = Net::new();
    net.ask("A", "new");
    net.settle();
    net.answer("A").unwrap();
    let go_back = |net: &mut Net, name| {
        let now = net.now;
        net.node(name).member.went_back(guest("new"), guest("old"), "8 faults within 10 s".into(), now);
        net.pass(Duration::from_secs(6));
    };
    go_back(&mut net, "B");
    go_back(&mut net, "D");
    let (old, new) = (guest("old"), guest("new"));
    assert_eq!(net.serving(), [new, old, new, old, new]);
    net.kill("B");
    net.start_again("B");
    net.pass(Duration::from_secs(6));
    assert_eq!(net.serving(), [new, old, new, old, new], "also over a restart");
    net.kill("B");
    net.node("B").member.serving = new;
    net.node("B").member.standing.back.clear();
    net.start_again("B");
    net.pass(Duration::from_secs(6));
    assert_eq!(net.serving(), [new, old, new, old, new], "also if it had not written that down");
    assert_eq!(net.node("E").member.standing.back.keys().collect::<Vec<_>>(), ["B", "D"]);
    go_back(&mut net, "E");
    assert_eq!(net.serving(), [old; 5]);
    assert_eq!(net.node("A").member.standing.number(), 2);
    net.roll_back("A");
    net.settle();
    assert_eq!(net.answer("A").unwrap_err(), NotSwapped::WentBack);
    net.assert_at_rest();
}

#[test]
fn a_node_that_cannot_take_up_what_the_herd_has_says_so_and_serves_what_it_did() {
    let mut net = Net::new();
    net.kill("D");
    net.node("D").refuses.insert(guest("new"), "not checked: another version");
    net.ask("A", "new");
    net.pass(Duration::from_secs(2));
    net.start_again("D");
    net.pass(Duration::from_secs(1));
    assert_eq!(net.node("D").member.serving, guest("old"));
    assert_eq!(net.node("A").member.standing.back["D"], "not checked: another version");
    net.assert_at_rest();
}

#[test]
fn a_node_that_falls_silent_while_it_prepares_is_absent_and_not_in_the_way() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.ask("A", "new");
    net.pass(Duration::from_secs(20));
    assert!(net.node("A").answers.is_empty(), "who prepares and says so is waited for");
    net.kill("D");
    net.pass(Duration::from_secs(6));
    assert_eq!(net.answer("A").unwrap().nodes["D"], NodeOutcome::Absent);
    assert_eq!(net.serving(), [guest("new"), guest("new"), guest("new"), guest("old"), guest("new")]);
    net.assert_at_rest();
}

#[test]
fn what_one_node_serves_by_its_own_operators_word_stays_until_the_herd_swaps() {
    let mut net = Net::new();
    net.ask("A", "new");
    net.settle();
    net.answer("A").unwrap();
    net.node("C").member.serves(guest("own"));
    net.pass(Duration::from_secs(10));
    assert_eq!(net.node("C").member.serving, guest("own"));
    net.ask("A", "newer");
    net.settle();
    assert_eq!(net.serving(), [guest("newer"); 5]);
}

#[test]
fn a_guest_that_faults_before_it_is_known_to_serve_has_gone_back_too() {
    let mut net = Net::new();
    NAMES.iter().for_each(|name| net.node(name).faults_at_once = Some(guest("old")));
    net.ask("A", "new");
    net.pass(Duration::from_secs(2));
    assert!(matches!(net.answer("A").unwrap().nodes["A"], NodeOutcome::Back(_)));
    assert_eq!(net.serving(), [guest("old"); 5]);
    let standing = &net.node("C").member.standing;
    assert_eq!(
        (standing.number(), standing.swap.as_ref().unwrap().digest),
        (2, guest("old")),
        "half of them took it back"
    );
    net.assert_at_rest();
}

#[test]
fn what_the_herd_swaps_to_while_a_node_makes_it_ready_is_taken_up_when_it_is() {
    for refuses in [false, true] {
        let mut net = Net::new();
        net.node("D").slow = true;
        net.ask("A", "new");
        net.settle();
        net.cut_off("D");
        net.pass(Duration::from_secs(7));
        assert_eq!(net.answer("A").unwrap().nodes["D"], NodeOutcome::Absent);
        net.link("C", "D");
        net.settle();
        if refuses {
            net.node("D").refuses.insert(guest("new"), "not checked: no room");
        }
        let now = net.now;
        net.node("D").prepare(now);
        net.pass(Duration::from_secs(2));
        let wanted = if refuses { guest("old") } else { guest("new") };
        assert_eq!(net.node("D").member.serving, wanted);
        assert_eq!(net.node("A").member.standing.back.contains_key("D"), refuses);
        net.assert_at_rest();
    }
}

#[test]
fn a_node_that_comes_up_while_others_make_ready_hears_what() {
    let mut net = Net::new();
    net.kill("B");
    net.node("D").slow = true;
    net.ask("A", "new");
    net.pass(Duration::from_secs(3));
    net.start_again("B");
    net.pass(Duration::from_secs(3));
    assert_eq!(net.node("B").candidate, Some(guest("new")));
    let now = net.now;
    net.node("D").prepare(now);
    net.pass(Duration::from_secs(1));
    assert_eq!(net.serving(), [guest("new"); 5]);
    net.assert_at_rest();
}

#[test]
fn what_cannot_be_taken_up_now_is_taken_up_later() {
    let mut net = Net::new();
    net.node("D").busy = true;
    net.ask("A", "new");
    net.pass(Duration::from_secs(12));
    assert_eq!(net.answer("A").unwrap().nodes["D"], NodeOutcome::Pending);
    net.node("D").busy = false;
    net.pass(Duration::from_secs(2));
    assert_eq!(net.serving(), [guest("new"); 5]);
    assert!(net.node("A").member.standing.back.is_empty());
}

#[test]
fn an_operator_may_insist_on_one_node_on_what_that_went_back_from() {
    let mut net = Net::new();
    net.ask("A", "new");
    net.settle();
    net.answer("A").unwrap();
    let now = net.now;
    net.node("B").member.went_back(guest("new"), guest("old"), "8 faults within 10 s".into(), now);
    net.pass(Duration::from_secs(1));
    net.node("B").member.serves(guest("new"));
    net.pass(Duration::from_secs(10));
    assert_eq!(net.serving(), [guest("new"); 5]);
}

#[test]
fn nonsense_of_a_peer_leaves_room_for_the_next_swap() {
    let mut net = Net::new();
    let swap = HerdSwap { number: u64::MAX, digest: guest("new"), previous: Some(guest("old")), who: "nobody".into() };
    let back = NAMES.map(|name| (name.to_string(), "no".to_string())).into();
    let nonsense = Message::Standing(Standing { swap: Some(swap), back });
    let now = net.now;
    net.node("A").member.hear("B", nonsense, now);
    net.ask("A", "new");
    net.settle();
    assert_eq!(net.answer("A").unwrap().swap.number, 1);
    net.node("D").slow = true;
    net.ask("A", "newer");
    net.settle();
    let round = net.nodes["D"].held[0].0.clone();
    let vote = Message::Word(1, Word::Vote { round, node: "B".into(), vote: Vote::Here(u64::MAX) });
    net.node("A").member.hear("B", vote, now);
    net.node("D").prepare(now);
    net.settle();
    assert_eq!(net.answer("A").unwrap().swap.number, 2);
}

#[test]
fn a_node_that_was_held_up_itself_does_not_take_the_others_for_absent() {
    let mut net = Net::new();
    net.node("D").slow = true;
    net.node("D").refuses.insert(guest("new"), "not checked: no room");
    net.ask("A", "new");
    net.settle();
    let now = net.now;
    net.node("D").prepare(now);
    net.obey("D");
    // Its refusal is on its way, and node A stands still for ten seconds.
    net.now += Duration::from_secs(10);
    let now = net.now;
    net.node("A").member.tick(now);
    net.obey("A");
    assert!(net.node("A").answers.is_empty(), "it does not commit without having listened");
    net.settle();
    net.pass(Duration::from_secs(2));
    assert!(matches!(net.answer("A"), Err(NotSwapped::Refused(_))));
    assert_eq!(net.serving(), [guest("old"); 5]);
}

#[test]
fn a_way_back_that_something_is_in_the_way_of_is_gone_later() {
    let mut net = Net::new();
    net.ask("A", "new");
    net.settle();
    net.answer("A").unwrap();
    let now = net.now;
    net.node("B").member.went_back(guest("new"), guest("old"), "8 faults within 10 s".into(), now);
    net.pass(Duration::from_secs(1));
    net.kill("B");
    net.node("B").member.serving = guest("new");
    net.node("B").member.standing.back.clear();
    net.start_again("B");
    net.node("B").busy = true;
    net.pass(Duration::from_secs(2));
    net.node("B").busy = false;
    net.pass(Duration::from_secs(2));
    assert_eq!(net.node("B").member.serving, guest("old"));
    net.assert_at_rest();
}
