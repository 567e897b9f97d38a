//! Entry for fuzzing: the frames of a connection without its socket, read as `handshake` and `link_task` read them.
//!
//! Compiled for fuzzing only (`tests/fuzz`).

use bytes::{Bytes, BytesMut};
use herd_replication::{LaneId, LinkFrame};
use tokio_util::codec::{Decoder, Encoder};

use crate::frame::{FRAME_BYTES_MAX, Frame, Hello};
use crate::handshake::{incompatibility, small_frames};
use crate::node_answer::NodeAnswer;
use crate::protocol_version::{PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};

/// Reads what a node Jaquez sends to the node Riley, piece by piece, up to the first fault. Returns the number of frames.
///
/// # Panics
///
/// A frame is not written as it was read.
pub fn read_frames<'a>(pieces: &mut dyn Iterator<Item = &'a [u8]>) -> usize {
    let (mut codec, mut buffer, mut count) = (small_frames(), BytesMut::new(), 0);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let frame = match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frame.freeze(),
                Ok(None) => break,
                Err(_) => return count,
            };
            let Ok(frame) = Frame::decode(frame) else { return count };
            assert_eq!(Frame::decode(frame.encode()).ok().as_ref(), Some(&frame));
            match &frame {
                Frame::Hello(hello) if count == 0 => {
                    if incompatibility(HERD, "Riley", hello, "Jaquez").is_some() {
                        return count;
                    }
                    codec.set_max_frame_length(FRAME_BYTES_MAX);
                }
                _ if count == 0 => return count,
                _ => {}
            }
            count += 1;
        }
    }
    count
}

/// Returns the hello of Jaquez, as it travels.
pub fn hello() -> Bytes {
    let hello = Hello {
        version: PROTOCOL_VERSION,
        herd: HERD.into(),
        node: "Jaquez".into(),
        epoch: 7,
        version_min: PROTOCOL_VERSION_MIN,
    };
    travelling(&Frame::Hello(hello))
}

/// Returns a frame of each kind but hello, as it travels, with a name for its file.
pub fn examples() -> Vec<(&'static str, Bytes)> {
    let frames = [
        ("refused", Frame::Refused("no".into())),
        ("probe", Frame::Probe),
        ("probed", Frame::Probed(NodeAnswer::of_this_program("herd:logic@0.1.0"))),
        ("claim", Frame::Replication(LinkFrame::Claim(vec![(LaneId(0), 9)]))),
        ("later", Frame::Replication(LinkFrame::Skipped(LinkFrame::KIND_MAX))),
        ("ping", Frame::Ping(1_614_209_129_000_000_000)),
        ("pong", Frame::Pong(1, u64::MAX)),
        ("message", Frame::Message(Bytes::from_static(b"\x00\x01"))),
        ("code", Frame::Code(Bytes::from_static(b"\x00\x01"))),
        ("trust", Frame::Trust(Bytes::from_static(b"-----BEGIN CERTIFICATE-----\n"))),
        ("goodbye", Frame::Goodbye),
    ];
    frames.into_iter().map(|(name, frame)| (name, travelling(&frame))).collect()
}

fn travelling(frame: &Frame) -> Bytes {
    let mut bytes = BytesMut::new();
    small_frames().encode(frame.encode(), &mut bytes).expect("the examples are short");
    bytes.freeze()
}

const HERD: &str = "five";
