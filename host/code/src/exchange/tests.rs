//! Whole herds on virtual time: exchanges of several nodes, joined by links that may lose messages.

use std::collections::BTreeMap;
use std::time::Duration;

use herd_signing::{PrivateKey, SignaturePolicy, SignatureRequirement, TrustedKey};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// Node of a test.
struct Node {
    exchange: Exchange,
    has: Has,
    ended: Vec<Result<CompiledCode, String>>,
    compilations: usize,
}

/// The code of a node, and whom it trusts.
#[derive(Default)]
struct Has {
    codes: Vec<CompiledCode>,
    components: Vec<Arc<[u8]>>,
    policy: SignaturePolicy,
}

impl ExchangePort for Has {
    fn code(&self, wanted: &Wanted) -> Option<Arc<[u8]>> {
        Some(self.codes.iter().find(|code| code.of == *wanted)?.encode().into())
    }

    fn component(&self, guest: Digest) -> Option<Arc<[u8]>> {
        self.components.iter().find(|component| Digest::of(component) == guest).cloned()
    }

    fn accept(&self, from_compiler: bool, code: &CompiledCode) -> Result<(), String> {
        if from_compiler {
            return Ok(());
        }
        code.accepted_by(&self.policy, Duration::ZERO).map(drop).map_err(|why| why.to_string())
    }
}

/// Herd of a test: links between nodes, and messages on the way.
struct Net {
    nodes: BTreeMap<&'static str, Node>,
    now: Instant,
    /// One of so many messages is lost. 0: none.
    lost: usize,
    sent: usize,
    random: StdRng,
}

impl Net {
    fn new(nodes: impl IntoIterator<Item = (&'static str, Permissions, Has)>) -> Self {
        let node = |(name, permissions, has)| {
            (name, Node { exchange: Exchange::new(permissions), has, ended: Vec::new(), compilations: 0 })
        };
        Self {
            nodes: nodes.into_iter().map(node).collect(),
            now: Instant::now(),
            lost: 0,
            sent: 0,
            random: StdRng::seed_from_u64(7),
        }
    }

    fn link(&mut self, links: &[(&'static str, &'static str)]) {
        let now = self.now;
        for (from, to) in links.iter().flat_map(|&(a, b)| [(a, b), (b, a)]) {
            let exchange = &mut self.node(from).exchange;
            let linked = exchange.linked.iter().cloned().chain([to.to_string()]).collect();
            exchange.linked(linked, now);
        }
    }

    fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap()
    }

    fn search(&mut self, node: &'static str, wanted: &Wanted) {
        let now = self.now;
        self.node(node).exchange.search(wanted.clone(), guest().into(), now);
    }

    /// Lets time pass until the searches of these nodes have ended; at most the time given.
    fn run(&mut self, nodes: &[&str], max: Duration) {
        let until = self.now + max;
        while nodes.iter().any(|name| self.nodes[name].ended.is_empty()) && self.now < until {
            self.now += Duration::from_millis(50);
            let now = self.now;
            self.nodes.values_mut().for_each(|node| node.exchange.tick(now));
            self.deliver();
        }
    }

    fn deliver(&mut self) {
        loop {
            let mut messages = Vec::new();
            let now = self.now;
            for (name, node) in &mut self.nodes {
                for action in node.exchange.take_actions() {
                    match action {
                        Action::Send(to, message) => messages.push((*name, to, message)),
                        Action::Compile(wanted, component) => {
                            node.compilations += 1;
                            assert_eq!(Digest::of(&component), wanted.guest);
                            let result = match wanted.target.as_str() {
                                "broken" => Err("not compiled: it is broken".into()),
                                _ => Ok(code(&wanted)),
                            };
                            node.exchange.compiled(&wanted, result, now);
                        }
                        Action::Ended(_, result) => node.ended.push(result.map(|found| found.code)),
                    }
                }
            }
            if messages.is_empty() {
                return;
            }
            for (from, to, message) in messages {
                self.sent += 1;
                if self.lost == 0 || self.random.random_range(0..self.lost) != 0 {
                    let node = self.nodes.get_mut(to.as_str()).unwrap();
                    node.exchange.receive(from, Incoming::decode(&message).unwrap(), &node.has, now);
                }
            }
        }
    }
}

fn guest() -> Vec<u8> {
    // Some chunks, of which none is like another.
    (0..700_000_u32).map(|number| (number / 1000) as u8).collect()
}

fn wanted(target: &str) -> Wanted {
    Wanted { guest: Digest::of(&guest()), target: target.into(), compiler: "test 1".into() }
}

fn code(wanted: &Wanted) -> CompiledCode {
    let code = wanted.target.bytes().cycle().take(600_000).collect();
    CompiledCode { of: wanted.clone(), code, signatures: Vec::new() }
}

fn edge(compilers: &[&str]) -> Permissions {
    let compilers = compilers.iter().map(ToString::to_string).collect();
    Permissions { compilers, takes_signed: false, compiles: false }
}

fn compiler() -> Permissions {
    Permissions { compiles: true, ..edge(&["Riley"]) }
}

fn keys(key: &PrivateKey) -> SignaturePolicy {
    let trusted = TrustedKey { key: key.public(), expires: None };
    let requirement = SignatureRequirement { threshold: 1, keys: [("release".into(), trusted)].into() };
    SignaturePolicy { requirement: Some(requirement), ..SignaturePolicy::default() }
}

const SOON: Duration = Duration::from_secs(60);

#[test]
fn compiler_makes_code_of_a_component_that_it_is_sent() {
    for lost in [0, 4, 8] {
        let mut net = Net::new([("Edge", edge(&["Riley"]), Has::default()), ("Riley", compiler(), Has::default())]);
        net.lost = lost;
        net.link(&[("Edge", "Riley")]);
        net.search("Edge", &wanted("t"));
        net.run(&["Edge"], SOON);
        assert_eq!(net.nodes["Edge"].ended, [Ok(code(&wanted("t")))], "lost: {lost}");
        assert_eq!(net.nodes["Riley"].compilations, 1);
    }
}

#[test]
fn compiler_that_has_the_component_compiles_once_for_all_that_ask() {
    let has = Has { components: vec![guest().into()], ..Has::default() };
    let edges = ["A", "B", "C"].map(|name| (name, edge(&["Riley"]), Has::default()));
    let mut net = Net::new(edges.into_iter().chain([("Riley", compiler(), has)]));
    net.link(&[("A", "Riley"), ("B", "Riley"), ("C", "Riley")]);
    for edge in ["A", "B", "C"] {
        net.search(edge, &wanted("t"));
    }
    net.run(&["A", "B", "C"], SOON);
    assert!(["A", "B", "C"].iter().all(|edge| net.nodes[edge].ended == [Ok(code(&wanted("t")))]));
    assert_eq!(net.nodes["Riley"].compilations, 1);
}

#[test]
fn code_of_a_node_that_is_no_compiler_is_not_run() {
    // It has code and would give it, and the node that asks has no keys and does not name it.
    let has = Has { codes: vec![code(&wanted("t"))], ..Has::default() };
    let mut net = Net::new([("Edge", edge(&["Riley"]), Has::default()), ("Mallory", compiler(), has)]);
    net.link(&[("Edge", "Mallory")]);
    net.search("Edge", &wanted("t"));
    net.run(&["Edge"], SOON);
    assert_eq!(net.nodes["Edge"].ended, [Err(String::new())], "nobody was asked");
    // It also sends what nobody asked it for.
    let offer =
        Message::Offer { wanted: wanted("t"), compile: true, digest: Digest::of(b"x"), bytes: 1, compiled: true };
    net.search("Edge", &wanted("t"));
    let (now, node) = (net.now, net.node("Edge"));
    node.exchange.receive("Mallory", Incoming(offer), &node.has, now);
    assert!(node.exchange.take_actions().is_empty());
}

#[test]
fn next_compiler_is_asked_when_one_cannot() {
    let permissions = edge(&["Jaquez", "Riley"]);
    let mut net = Net::new([
        ("Edge", permissions, Has::default()),
        // Named by the edge node, and not by its own configuration.
        ("Jaquez", Permissions::default(), Has::default()),
        ("Riley", compiler(), Has::default()),
    ]);
    net.link(&[("Edge", "Riley"), ("Edge", "Jaquez")]);
    net.search("Edge", &wanted("t"));
    net.run(&["Edge"], SOON);
    assert_eq!(net.nodes["Edge"].ended, [Ok(code(&wanted("t")))]);
    net.node("Edge").ended.clear();
    net.search("Edge", &wanted("broken"));
    net.run(&["Edge"], SOON);
    let [Err(why)] = &net.nodes["Edge"].ended[..] else { panic!("{:?}", net.nodes["Edge"].ended) };
    assert!(why.contains("Jaquez: it does not compile for others"), "{why}");
    assert!(why.contains("Riley: not compiled: it is broken"), "{why}");
}

#[test]
fn signed_code_crosses_a_herd_of_nodes_that_cannot_use_it() {
    let key = PrivateKey::generate().unwrap();
    let takes_signed = || Permissions { takes_signed: true, ..Permissions::default() };
    let trusting = || Has { policy: keys(&key), ..Has::default() };
    let mut signed = code(&wanted("t"));
    signed.sign(&key, "made in a test").unwrap();
    // A ring, so that questions come back, and an end that has none.
    for (links, lost) in [
        (&[("A", "B"), ("B", "C"), ("C", "D")][..], 0),
        (&[("A", "B"), ("B", "C"), ("C", "D"), ("D", "A"), ("A", "C")], 0),
        (&[("A", "B"), ("B", "C"), ("C", "D")], 7),
    ] {
        let mut net = Net::new([
            ("A", takes_signed(), trusting()),
            ("B", takes_signed(), trusting()),
            ("C", Permissions::default(), Has::default()),
            ("D", Permissions::default(), Has { codes: vec![signed.clone()], ..Has::default() }),
        ]);
        net.lost = lost;
        net.link(links);
        // Two neighbours at once, which also ask one another.
        net.search("A", &wanted("t"));
        net.search("B", &wanted("t"));
        net.run(&["A", "B"], SOON);
        for node in ["A", "B"] {
            assert_eq!(net.nodes[node].ended, [Ok(signed.clone())], "{node}, {links:?}, lost: {lost}");
        }
    }
}

#[test]
fn search_for_what_nobody_has_ends_also_in_a_ring() {
    let key = PrivateKey::generate().unwrap();
    let permissions = || Permissions { takes_signed: true, ..Permissions::default() };
    let has = || Has { policy: keys(&key), ..Has::default() };
    let mut net = Net::new(["A", "B", "C"].map(|name| (name, permissions(), has())));
    net.link(&[("A", "B"), ("B", "C"), ("C", "A")]);
    net.search("A", &wanted("t"));
    net.search("B", &wanted("t"));
    net.run(&["A", "B"], SOON);
    for node in ["A", "B"] {
        assert!(matches!(&net.nodes[node].ended[..], [Err(why)] if !why.is_empty()), "{node}");
    }
    // Nobody waits for anything any more.
    let sent = net.sent;
    net.run(&[], SOON);
    net.deliver();
    assert_eq!(net.sent, sent);
    assert!(net.nodes.values().all(|node| node.exchange.is_idle()));
}

#[test]
fn code_that_is_not_signed_as_required_is_refused_and_the_next_neighbour_asked() {
    let key = PrivateKey::generate().unwrap();
    let other = PrivateKey::generate().unwrap();
    let permissions = || Permissions { takes_signed: true, ..Permissions::default() };
    let signed_by = |key: &PrivateKey| {
        let mut code = code(&wanted("t"));
        code.sign(key, "made in a test").unwrap();
        code
    };
    let has = |code: CompiledCode| Has { codes: vec![code], ..Has::default() };
    let trusting = Has { policy: keys(&key), ..Has::default() };
    let mut net = Net::new([
        ("Edge", permissions(), trusting),
        ("A", Permissions::default(), has(code(&wanted("t")))),
        ("B", Permissions::default(), has(signed_by(&other))),
        ("C", Permissions::default(), has(signed_by(&key))),
    ]);
    net.link(&[("Edge", "A"), ("Edge", "B")]);
    net.search("Edge", &wanted("t"));
    net.run(&["Edge"], SOON);
    let [Err(why)] = &net.nodes["Edge"].ended[..] else { panic!("{:?}", net.nodes["Edge"].ended) };
    assert!(why.contains("A: the compiled code is not accepted: it is not signed"), "{why}");
    assert!(why.contains("B: the compiled code is not accepted: it does not have the signature"), "{why}");
    net.node("Edge").ended.clear();
    net.link(&[("Edge", "C")]);
    net.search("Edge", &wanted("t"));
    net.run(&["Edge"], SOON);
    assert_eq!(net.nodes["Edge"].ended, [Ok(signed_by(&key))]);
}

#[test]
fn node_that_dies_during_a_compilation_costs_the_search_its_answer_only() {
    let mut net = Net::new([("Edge", edge(&["Riley"]), Has::default()), ("Riley", compiler(), Has::default())]);
    // Nothing arrives.
    net.lost = 1;
    net.link(&[("Edge", "Riley")]);
    net.search("Edge", &wanted("t"));
    net.run(&["Edge"], SOON);
    assert_eq!(net.nodes["Edge"].ended, [Err("Riley: no answer in 4 s".into())]);
    net.node("Edge").ended.clear();
    net.search("Edge", &wanted("t"));
    let now = net.now;
    net.node("Edge").exchange.linked(BTreeSet::new(), now);
    net.run(&["Edge"], SOON);
    assert_eq!(net.nodes["Edge"].ended, [Err("Riley: its link went down".into())]);
}

/// Goal: a compiler vouches for nothing that it was sent. Method: a stranger has unsigned code, and then code that a wrong key signed; the edge
/// node asks a compiler that asks the stranger, and once more after the compiler holds what the stranger sent.
#[test]
fn compiler_passes_no_code_of_others_as_its_own() {
    let [key, other] = [(); 2].map(|()| PrivateKey::generate().unwrap());
    let mut forged = code(&wanted("t"));
    forged.code = b"of the stranger".to_vec();
    for sign in [false, true] {
        if sign {
            forged.sign(&other, "made in a test").unwrap();
        }
        let riley = Permissions { takes_signed: true, ..compiler() };
        // It asks Jaquez first, and so Riley for signed code alone.
        let permissions = Permissions { takes_signed: true, ..edge(&["Jaquez", "Riley"]) };
        let trusting = || Has { policy: keys(&key), ..Has::default() };
        let mallory = Has { codes: vec![forged.clone()], ..Has::default() };
        let mut net = Net::new([
            ("Edge", permissions, trusting()),
            ("Jaquez", Permissions::default(), Has::default()),
            ("Riley", riley, trusting()),
            ("Mallory", Permissions::default(), mallory),
        ]);
        net.link(&[("Edge", "Jaquez"), ("Edge", "Riley"), ("Riley", "Mallory")]);
        for _ in 0..2 {
            net.search("Edge", &wanted("t"));
            net.run(&["Edge"], SOON);
            let ended = std::mem::take(&mut net.node("Edge").ended);
            assert_eq!(ended, [Ok(code(&wanted("t")))], "signed by the stranger: {sign}");
        }
    }
}

#[test]
fn neighbour_that_offers_and_does_not_send_is_given_up() {
    let mut net = Net::new([("Edge", edge(&["Riley"]), Has::default()), ("Riley", compiler(), Has::default())]);
    net.link(&[("Edge", "Riley")]);
    net.search("Edge", &wanted("t"));
    let offer = || {
        Incoming(Message::Offer {
            wanted: wanted("t"),
            compile: true,
            digest: Digest::of(b"x"),
            bytes: 9,
            compiled: true,
        })
    };
    let began = net.now;
    while net.nodes["Edge"].ended.is_empty() && net.now < began + Duration::from_secs(100) {
        net.now += Duration::from_millis(500);
        let (now, node) = (net.now, net.node("Edge"));
        node.exchange.receive("Riley", offer(), &node.has, now);
        for action in node.exchange.take_actions() {
            if let Action::Ended(_, result) = action {
                node.ended.push(result.map(|found| found.code));
            }
        }
    }
    let [Err(why)] = &net.nodes["Edge"].ended[..] else { panic!("{:?}", net.nodes["Edge"].ended) };
    assert_eq!(why, "Riley: it stopped to send for 10 s");
}

/// Herd of three nodes that need signed code for a target each, behind one node that passes it on.
fn behind_one(key: &PrivateKey) -> Net {
    let codes = ["a", "b", "c"].map(|target| {
        let mut signed = code(&wanted(target));
        signed.sign(key, "made in a test").unwrap();
        signed
    });
    let takes_signed = || Permissions { takes_signed: true, ..Permissions::default() };
    let edges = ["A", "B", "C"].map(|name| (name, takes_signed(), Has { policy: keys(key), ..Has::default() }));
    let others = [
        ("Middle", Permissions::default(), Has::default()),
        ("Far", Permissions::default(), Has { codes: codes.to_vec(), ..Has::default() }),
    ];
    let mut net = Net::new(edges.into_iter().chain(others));
    net.link(&[("A", "Middle"), ("B", "Middle"), ("C", "Middle"), ("Middle", "Far")]);
    net
}

#[test]
fn signed_code_for_more_targets_than_a_neighbour_passes_on_at_once_is_waited_for() {
    let mut net = behind_one(&PrivateKey::generate().unwrap());
    for (edge, target) in [("A", "a"), ("B", "b"), ("C", "c")] {
        net.search(edge, &wanted(target));
    }
    net.run(&["A", "B", "C"], SOON);
    for edge in ["A", "B", "C"] {
        assert!(matches!(net.nodes[edge].ended[..], [Ok(_)]), "{edge}: {:?}", net.nodes[edge].ended);
    }
}

#[test]
fn signed_code_that_nobody_asks_for_any_more_leaves_the_memory() {
    let mut net = behind_one(&PrivateKey::generate().unwrap());
    net.search("A", &wanted("a"));
    net.run(&["A"], SOON);
    let held = |net: &Net| ["A", "Middle", "Far"].map(|node| net.nodes[node].exchange.held.len());
    assert_eq!(held(&net), [1, 1, 1]);
    assert!(!net.nodes["Middle"].exchange.is_idle(), "time is to pass");
    net.now += HELD_UNASKED_MAX;
    let now = net.now;
    net.nodes.values_mut().for_each(|node| node.exchange.tick(now));
    assert_eq!(held(&net), [0, 0, 0]);
    assert!(net.nodes["Middle"].exchange.is_idle());
}

#[test]
fn signed_code_for_which_the_host_has_no_memory_is_not_downloaded() {
    let mut net = behind_one(&PrivateKey::generate().unwrap());
    net.node("A").exchange.limit_files(500_000);
    net.search("A", &wanted("a"));
    net.run(&["A"], SOON);
    let [Err(why)] = &net.nodes["A"].ended[..] else { panic!("{:?}", net.nodes["A"].ended) };
    assert_eq!(why, "Middle: its code has 0 MiB, and this host has memory for 0 MiB");
    net.node("A").ended.clear();
    net.node("A").exchange.limit_files(1 << 20);
    net.search("A", &wanted("a"));
    net.run(&["A"], SOON);
    assert!(matches!(net.nodes["A"].ended[..], [Ok(_)]));
}

/// A compiler of another version, say, to which an operator brought a bundle.
#[test]
fn compiler_that_cannot_compile_is_asked_for_signed_code() {
    let key = PrivateKey::generate().unwrap();
    let mut signed = code(&wanted("broken"));
    signed.sign(&key, "made in a test").unwrap();
    let has = |codes| Has { codes, policy: keys(&key), ..Has::default() };
    for codes in [vec![signed.clone()], vec![]] {
        let permissions = Permissions { takes_signed: true, ..edge(&["Riley"]) };
        let mut net = Net::new([("Edge", permissions, has(vec![])), ("Riley", compiler(), has(codes.clone()))]);
        net.link(&[("Edge", "Riley")]);
        net.search("Edge", &wanted("broken"));
        net.run(&["Edge"], SOON);
        match &net.nodes["Edge"].ended[..] {
            [Ok(found)] => assert_eq!(Some(found), codes.first()),
            [Err(why)] => {
                assert!(codes.is_empty(), "{why}");
                assert!(why.starts_with("Riley: not compiled: it is broken; for signed code: "), "{why}");
            }
            ended => panic!("{ended:?}"),
        }
        assert_eq!(net.nodes["Riley"].compilations, 1);
    }
}
