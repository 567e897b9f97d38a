//! Target: what a peer sends on a link, from its first frame on.
//!
//! No frame makes the node hold more than it sent; a frame that is read is written as it was read; the cuts do not matter.

use bytes::Bytes;
use herd_peers::fuzzing::read_frames;

use crate::input::{Input, cuts};

/// Bytes that an input may make the node hold.
pub const BYTES_MAX: usize = 2 << 20;

/// Runs an input: a number that chooses the cuts, and what the peer sends. The hello may be left out.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let (is_known, number) = (input.byte() & 1 > 0, input.number());
    let bytes = input.rest();
    let hello = if is_known { hello() } else { Bytes::new() };
    let [cut, whole]: [Vec<&[u8]>; 2] = [cuts(bytes, number).collect(), vec![bytes]];
    assert_eq!(read(&hello, cut), read(&hello, whole), "cut by {number}");
}

/// Returns a frame of each kind.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = vec![("hello".into(), [&[0, 3, 0][..], &hello()].concat())];
    for (name, frame) in herd_peers::fuzzing::examples() {
        seeds.push((format!("known-{name}"), [&[1, 3, 0][..], &frame].concat()));
        seeds.push((format!("stranger-{name}"), [&[0, 5, 0][..], &frame].concat()));
    }
    let all: Vec<u8> = herd_peers::fuzzing::examples().into_iter().flat_map(|(_, frame)| frame).collect();
    seeds.push(("all".into(), [&[1, 9, 0][..], &all].concat()));
    seeds
}

/// Returns the number of frames that are read.
fn read(hello: &[u8], pieces: Vec<&[u8]>) -> usize {
    read_frames(&mut std::iter::once(hello).chain(pieces))
}

fn hello() -> Bytes {
    herd_peers::fuzzing::hello()
}
