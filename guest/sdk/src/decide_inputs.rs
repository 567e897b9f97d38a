//! One call on the inputs of several sessions.

use crate::context::Context;
use crate::decision::Decision;
use crate::event::{Input, Moment};
use crate::logic::Logic;
use crate::records::Records;

/// Decides inputs of several sessions, one after the other, as one call.
pub fn decide_inputs<'i, L: Logic>(
    at: Moment,
    records: &dyn Records,
    logic: &L,
    inputs: impl Iterator<Item = Input<'i>>,
    input_bytes: usize,
) -> Decision {
    // A report is written twice, as record and as the reply when there is no room, and takes 14 words; its line has 50
    // bytes or more. Memory is taken once, and not again and again as effects come.
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

    /// Keeps what it is told under the key `k`, and replies with what was there and with a number that nobody can guess.
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
    fn an_input_sees_what_those_before_it_in_the_call_decided_to_keep() {
        let decision = decided(&[b"1", b"2", b"0", b"3"]);
        let seen: Vec<&[u8]> = replies(&decision).into_iter().step_by(2).collect();
        assert_eq!(seen, [&b""[..], b"1", b"2", b"2"], "the highest, as a node keeps it");
    }

    #[test]
    fn no_two_inputs_of_a_call_get_the_same_randomness() {
        let decision = decided(&[b"1", b"2", b"3"]);
        let mut random: Vec<&[u8]> = replies(&decision).into_iter().skip(1).step_by(2).collect();
        assert_eq!(random[0], 7_u64.to_be_bytes(), "the first has that of the call");
        random.dedup();
        assert_eq!(random.len(), 3);
    }

    #[test]
    fn every_input_has_an_end_behind_its_effects() {
        let kinds = |effect| match effect {
            Effect::Reply(_) => 'r',
            Effect::Keep(_) => 'k',
            Effect::Done(_) => '.',
            _ => '?',
        };
        assert_eq!(decided(&[b"1", b"22"]).effects.iter().map(kinds).collect::<String>(), "rrk.rrk.");
    }
}
