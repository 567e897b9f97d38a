//! Checks of single decisions, which need no knowledge of a guest's protocol: made again by an instance without a past, and of the same
//! bytes cut elsewhere, a decision has to be the same.
//!
//! Owns the comparison. Knows nothing of nodes and time. Bounds: three more calls for a checked one.

use std::sync::Arc;

use herd_sdk::native::{Decider, Fault};
use herd_sdk::{Awaiting, Decision, Effect, Input, InputBatch, Mark, Moment, Records};

use crate::chance::Chance;
use crate::guest::SimGuest;
use crate::overlay::Overlay;
use crate::violation::Violation;

/// Checks a decision of a warm instance against one of an instance without a past.
///
/// # Errors
///
/// They differ, or the second call faults.
pub(crate) fn check_fresh(
    node: &str,
    guest: &dyn SimGuest,
    records: &Arc<dyn Records + Send + Sync>,
    warm: &Decision,
    what: impl Fn() -> String,
    call: impl FnOnce(&mut dyn Decider) -> Result<Decision, Fault>,
) -> Result<(), Violation> {
    let fresh = call(&mut *guest.fresh_over(Arc::clone(records)));
    match fresh {
        Ok(fresh) if fresh == *warm => Ok(()),
        Ok(fresh) => {
            let (warm, fresh) = first_difference(&effects(warm), &effects(&fresh));
            Err(Violation::HiddenState { node: node.into(), call: what(), warm, fresh })
        }
        Err(why) => Err(Violation::GuestFaults { node: node.into(), call: what(), why: why.to_string() }),
    }
}

/// Checks that a guest decides bytes alike however they are cut: twice the bytes of an input, at once and in two pieces.
///
/// # Errors
///
/// The decisions differ, or a call faults.
pub(crate) fn check_cuts(
    node: &str,
    guest: &dyn SimGuest,
    records: &Arc<dyn Records + Send + Sync>,
    at: Moment,
    input: Input<'_>,
    chance: &mut Chance,
) -> Result<(), Violation> {
    if input.mark != Mark::More || input.bytes.is_empty() || input.bytes.len() > INPUT_BYTES_MAX {
        return Ok(());
    }
    let stream = [input.bytes, input.bytes].concat();
    // Half of the cuts are beside the seam, where a command has just ended.
    let cut = match chance.below(4) {
        0 => input.bytes.len() + 1,
        1 => input.bytes.len() - 1,
        _ => 1 + chance.index(stream.len() - 1),
    };
    let fault = |why: Fault| Violation::GuestFaults { node: node.into(), call: text(&stream), why: why.to_string() };
    let decide = |at, pieces: &[usize]| decide_pieces(guest, records, at, &stream, pieces).map_err(fault);
    let whole = decide(at, &[stream.len()])?;
    // What depends on randomness depends on the call, too.
    if decide(Moment { random: (!at.random.0, at.random.1), ..at }, &[stream.len()])? != whole {
        return Ok(());
    }
    let pieces = decide(at, &[cut, stream.len()])?;
    if pieces == whole {
        return Ok(());
    }
    let (whole, pieces) = first_difference(&whole, &pieces);
    let (head, tail) = stream.split_at(cut);
    let cut = format!("{} and then {}", text(head), text(tail));
    Err(Violation::DependsOnCuts { node: node.into(), cut, whole, pieces })
}

/// Decides a stream that arrives up to each of these positions in turn, as a node would, and returns what it did but for how it was
/// consumed.
fn decide_pieces(
    guest: &dyn SimGuest,
    records: &Arc<dyn Records + Send + Sync>,
    at: Moment,
    stream: &[u8],
    pieces: &[usize],
) -> Result<Vec<String>, Fault> {
    let overlay = Arc::new(Overlay::new(Arc::clone(records)));
    let mut decider = guest.fresh_over(Arc::clone(&overlay) as _);
    let (mut consumed, mut seen, mut awaits, mut done) = (0, 0, Awaiting::Delimiter(b'\n'), Vec::new());
    for &end in pieces {
        let has_come = match awaits {
            Awaiting::Delimiter(byte) => stream[seen.min(end)..end].contains(&byte),
            Awaiting::Bytes(more) => end >= seen + more as usize,
        };
        if !has_come {
            continue;
        }
        let decision = decider.input(at, Input { bytes: &stream[consumed..end], mark: Mark::More })?;
        overlay.apply(&decision);
        done.extend(effects(&decision));
        // A session that ended is asked nothing more, whatever comes; that the rest is left is no effect.
        if decision.effects.iter().any(|effect| matches!(effect, Effect::Close)) {
            return Ok(done);
        }
        if let Some(progress) = decision.progress() {
            consumed += progress.consumed;
            awaits = progress.awaits;
        }
        seen = end;
    }
    done.push(format!("{} bytes are left", stream.len() - consumed));
    Ok(done)
}

/// Returns the effects of a decision as lines, but for its progress.
pub(crate) fn effects(decision: &Decision) -> Vec<String> {
    let mut keeps = 0;
    let line = |effect| {
        let bytes = |span| text(decision.bytes(span));
        Some(match effect {
            Effect::Reply(reply) => match reply.tie {
                None => format!("reply {}", bytes(reply.bytes)),
                Some(tie) => format!("reply {} if kept, otherwise {}", bytes(reply.bytes), bytes(tie.otherwise)),
            },
            Effect::Keep(keep) => {
                keeps += 1;
                format!("keep {} of rank {}: {}", bytes(keep.key), bytes(keep.rank), bytes(keep.bytes))
            }
            Effect::Fetch(fetch) => {
                let (upstream, path) = (bytes(fetch.upstream), bytes(fetch.path));
                format!("fetch {upstream} {path} {}, otherwise {}", bytes(fetch.token), bytes(fetch.otherwise))
            }
            Effect::Subscribe(topic) => format!("subscribe {}", bytes(topic)),
            Effect::Unsubscribe(topic) => format!("unsubscribe {}", bytes(topic)),
            Effect::Publish(publish) => format!("publish {} {}", bytes(publish.topic), bytes(publish.bytes)),
            Effect::Close => "close".into(),
            Effect::Note(note) => format!("note {}", bytes(note.text)),
            Effect::Refuse(report) => format!("refuse report {report}"),
            Effect::Done(_) => return None,
        })
    };
    decision.effects.iter().filter_map(line).collect()
}

/// Describes the inputs of a call.
pub(crate) fn inputs_text(inputs: &InputBatch) -> String {
    inputs.iter().map(|input| text(input.bytes)).collect::<Vec<_>>().join(" and ")
}

/// Returns the first lines in which two lists differ.
fn first_difference(left: &[String], right: &[String]) -> (String, String) {
    let at = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let line = |lines: &[String]| lines.get(at).map_or_else(|| "nothing".into(), Clone::clone);
    (line(left), line(right))
}

/// Returns bytes as text in quotes, cut for people.
pub(crate) fn text(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(TEXT_BYTES_MAX)];
    format!("\"{}{}\"", shown.escape_ascii(), if shown.len() < bytes.len() { "..." } else { "" })
}

/// Longer inputs are not cut: their lines are alike.
const INPUT_BYTES_MAX: usize = 2048;
const TEXT_BYTES_MAX: usize = 240;
