//! One call on the inputs of several sessions.
//!
//! Owns the loop over a batch and the separation of its inputs. It must not know who called, a component or native code.
//! The host bounds the batch.

use crate::context::Context;
use crate::decision::Decision;
use crate::event::{Input, Moment};
use crate::logic::Logic;
use crate::records::Records;

/// Decides the inputs of several sessions in order, as one call.
///
/// Inputs see the keeps of those before them. `input_bytes` is the total size of the inputs, from which the memory for the
/// decision is estimated.
pub fn decide_inputs<'i, L: Logic>(
    at: Moment,
    records: &dyn Records,
    logic: &L,
    inputs: impl Iterator<Item = Input<'i>>,
    input_bytes: usize,
) -> Decision {
    // An `IAMAT` line of 50 bytes or more is written twice, as the record and as the reply for a full store, and takes 14
    // words. Reserving for that avoids growing both vectors step by step in the guest's allocator.
    let mut context = Context::with_capacity(at, records, 3 * input_bytes + 256, input_bytes / 3 + 64);
    for input in inputs {
        let progress = logic.input(input, &mut context);
        context.end_input(progress);
    }
    context.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::InputBatch;
    use crate::effect::Effect;
    use crate::event::{Awaiting, Mark, Progress};
    use crate::logic::{BadSetting, Description, Settings};
    use crate::native::MemoryRecords;

    /// Replies with the record under the key `k` and with a random number, then keeps the input under that key.
    struct Diary;

    impl Logic for Diary {
        fn describe() -> Description {
            Description::default()
        }

        fn configure(_: &Settings) -> Result<Self, BadSetting> {
            Ok(Self)
        }

        fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
            let before = context.record(b"k").unwrap_or_default().bytes;
            context.reply(&before);
            context.reply(&context.random().0.to_be_bytes());
            context.keep(b"k", input.bytes, 1, |out| out.extend_from_slice(input.bytes));
            Progress { consumed: input.bytes.len(), awaits: Awaiting::Delimiter(b'\n') }
        }
    }

    fn decided(inputs: &[&[u8]]) -> Decision {
        let batch: InputBatch = inputs.iter().map(|&bytes| Input { bytes, mark: Mark::More }).collect();
        let at = Moment { now_ns: 1, random: (7, 8) };
        decide_inputs(at, &MemoryRecords::default(), &Diary, batch.iter(), batch.bytes().len())
    }

    fn replies(decision: &Decision) -> Vec<&[u8]> {
        let reply = |effect| if let Effect::Reply(reply) = effect { Some(decision.bytes(reply.bytes)) } else { None };
        decision.effects.iter().filter_map(reply).collect()
    }

    #[test]
    fn record_includes_the_keeps_of_earlier_inputs_in_the_call() {
        let decision = decided(&[b"1", b"2", b"0", b"3"]);
        let seen: Vec<&[u8]> = replies(&decision).into_iter().step_by(2).collect();
        assert_eq!(seen, [&b""[..], b"1", b"2", b"2"], "the highest rank wins, as on a node");
    }

    #[test]
    fn randomness_differs_between_the_inputs_of_a_call() {
        let decision = decided(&[b"1", b"2", b"3"]);
        let mut random: Vec<&[u8]> = replies(&decision).into_iter().skip(1).step_by(2).collect();
        assert_eq!(random[0], 7_u64.to_be_bytes(), "the first input has the randomness of the call");
        random.dedup();
        assert_eq!(random.len(), 3);
    }

    #[test]
    fn done_follows_the_effects_of_each_input() {
        let kinds = |effect| match effect {
            Effect::Reply(_) => 'r',
            Effect::Keep(_) => 'k',
            Effect::Done(_) => '.',
            _ => '?',
        };
        assert_eq!(decided(&[b"1", b"22"]).effects.iter().map(kinds).collect::<String>(), "rrk.rrk.");
    }
}
