//! Target: messages of members about swaps, and the file that a node keeps about them.
//!
//! A message is taken or refused; nothing that the node sends in return is longer than a frame; a file that is read is written as it was read.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use herd_model::{Digest, SwapOptions};
use herd_rollout::{
    Adopted, FailedGuest, GuestDisk, HerdState, MachineAction, Preparation, RolloutMachine, RolloutStart, StoredState,
};

use crate::input::{Input, push_step};

/// Bytes that an input may make the node hold.
pub const BYTES_MAX: usize = 8 << 20;

/// Runs an input, which is a list of steps: a message of a node, or what happens at this one.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let mut node = Node::start("Riley");
    while let Some((what, bytes)) = input.step() {
        match what {
            0..LINKED => {
                let _ = node.machine.receive(NAMES[1 + usize::from(what % 2)], bytes, node.now);
            }
            LINKED => node.machine.linked(NAMES[1], node.now),
            UNLINKED => node.machine.unlinked(NAMES[1]),
            SWAP => node.machine.swap(1, bytes, SwapOptions::default(), "mira", node.now),
            ROLL_BACK => node.machine.roll_back(2, "mira", node.now),
            WITHDRAW => node.machine.withdraw(1),
            STORED => stored(bytes),
            _ => node.now += Duration::from_millis(10 * u64::from(what)),
        }
        node.go_on();
    }
}

/// Returns what a node hears while another one swaps the herd.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut nodes = NAMES.map(Node::start);
    let mut heard = Vec::new();
    for (index, peer) in [(0, NAMES[1]), (1, NAMES[0])] {
        let now = nodes[index].now;
        nodes[index].machine.linked(peer, now);
    }
    push_step(&mut heard, LINKED, b"");
    let now = nodes[1].now;
    nodes[1].machine.swap(1, b"a new guest", SwapOptions::default(), "mira", now);
    for _ in 0..40 {
        for index in 0..2 {
            nodes[index].go_on();
            for message in std::mem::take(&mut nodes[index].sent) {
                if index == 1 {
                    push_step(&mut heard, 0, &message);
                }
                let now = nodes[1 - index].now;
                nodes[1 - index].machine.receive(NAMES[index], &message, now).expect("an honest node is taken");
            }
            nodes[index].now += Duration::from_millis(250);
        }
        push_step(&mut heard, 25 + WITHDRAW, b"");
    }
    assert!(nodes[0].machine.herd_state().number() > 0, "the swap of the seed is heard of");
    let mut own = Vec::new();
    let steps = [
        (LINKED, &b""[..]),
        (SWAP, b"another guest"),
        (255, b""),
        (255, b""),
        (ROLL_BACK, b""),
        (255, b""),
        (WITHDRAW, b""),
    ];
    steps.into_iter().for_each(|(what, bytes)| push_step(&mut own, what, bytes));
    let mut file = Vec::new();
    let state = StoredState {
        herd_state: nodes[0].machine.herd_state().clone(),
        applied: None,
        serving: Digest::of(b"old"),
        previous: Some(Digest::of(b"older")),
        failed: vec![FailedGuest { digest: Digest::of(b"bad"), why: "8 faults".into() }],
    };
    push_step(&mut file, STORED, &state.encode().expect("a state can be encoded"));
    let empty = StoredState { herd_state: HerdState::default(), previous: None, failed: Vec::new(), ..state };
    push_step(&mut file, STORED, &empty.encode().expect("a state can be encoded"));
    vec![("heard".into(), heard), ("own".into(), own), ("file".into(), file)]
}

const NAMES: [&str; 3] = ["Riley", "Jaquez", "Juzang"];
const LINKED: u8 = 64;
const UNLINKED: u8 = 65;
const SWAP: u8 = 66;
const ROLL_BACK: u8 = 67;
const WITHDRAW: u8 = 68;
const STORED: u8 = 69;
/// As `host/peers` limits a frame, less its kind.
const MESSAGE_BYTES_MAX: usize = (1 << 20) - 1;
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn stored(bytes: &[u8]) {
    if let Ok(state) = StoredState::decode(bytes) {
        let written = state.encode().expect("a state can be encoded");
        assert_eq!(StoredState::decode(&written), Ok(state));
    }
}

struct NoDisk;

impl GuestDisk for NoDisk {
    fn read(&self, _: Digest) -> Option<Arc<[u8]>> {
        None
    }

    fn read_part(&self, _: Digest, _: u64, _: usize) -> Option<(u64, Vec<u8>)> {
        None
    }
}

/// A node whose guests are ready and adopted as soon as they are there.
struct Node {
    machine: RolloutMachine,
    now: Instant,
    serving: Digest,
    sent: Vec<Vec<u8>>,
}

impl Node {
    fn start(name: &str) -> Self {
        let (now, serving) = (*BEGIN, Digest::of(b"old"));
        let mut state = 0x9e37_79b9_u64;
        let machine = RolloutMachine::new(RolloutStart {
            node: name.into(),
            nodes: NAMES.map(String::from).into(),
            configured: herd_model::GuestFiles::from(b"old".as_slice()).into(),
            serving,
            candidate_max: Duration::from_secs(5),
            disk: Box::new(NoDisk),
            stored: None,
            random: Box::new(move || {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                state >> 7
            }),
            now,
        });
        Self { machine, now, serving, sent: Vec::new() }
    }

    /// Performs what the machine asks for, until it asks for nothing, at most as often as an honest herd would need.
    fn go_on(&mut self) {
        self.sent.clear();
        for _ in 0..16 {
            self.machine.tick(self.now);
            let actions = self.machine.actions((self.serving, None), &[]);
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.perform(action);
            }
        }
    }

    fn perform(&mut self, action: MachineAction) {
        match action {
            MachineAction::Send { message, .. } | MachineAction::SendToAll { message, .. } => {
                assert!(message.len() <= MESSAGE_BYTES_MAX, "a message of {} bytes", message.len());
                self.sent.push(message.to_vec());
            }
            MachineAction::Prepare(preparation) => self.prepare(&preparation),
            MachineAction::Adopt { swap, has_bytes } => {
                if has_bytes {
                    self.serving = swap.digest;
                    let adopted = Adopted { generation: 2, name: "guest".into(), unread: 0, discarded: None };
                    self.machine.adopted(&swap, Ok(adopted), self.serving, self.now);
                }
            }
            MachineAction::Write(_) => self.machine.report_adoption(None, self.now),
            MachineAction::Abort(_) | MachineAction::Answer(..) => {}
        }
    }

    fn prepare(&mut self, preparation: &Preparation) {
        self.machine.prepared(preparation, Ok(()), self.now);
    }
}
