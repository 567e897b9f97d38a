//! Reduction of a recorded call to the lines, bytes, reports and records on which a guest still faults in the same way.
//!
//! Runs on a replica of the generation, so nothing of it touches the node. Bounds: the [`Budget`].

use herd_recording::{OwnedCall, Read, RecordedCall};
use herd_sdk::batch::read_reports;
use herd_sdk::{Input, InputBatch, Mark};

use crate::cases::dedup::signature;
use crate::cases::minimize::{Budget, minimize};
use crate::generation::generation::Generation;
use crate::replay::lines::lines;
use crate::replay::replica::Replica;
use crate::sandbox::fault::Fault;

/// A line, and the number of its input in the call.
type NumberedLine<'a> = (usize, Input<'a>);

/// Reduces a call on which a generation faulted. Returns it whole where the fault does not come back, and none for the
/// answer to a fetch.
pub(crate) fn reduce(
    recorded: &RecordedCall,
    fault: &Fault,
    faulting: &Generation,
    budget: &Budget<'_>,
) -> Option<RecordedCall> {
    let mut replica = Replica::new(faulting);
    let signature_wanted = signature(fault);
    let mut faults = |call: &OwnedCall, reads: &[Read]| {
        let decided = replica.call(recorded.at, &call.as_call(), reads);
        decided.is_err_and(|fault| signature(&fault) == signature_wanted)
    };
    let RecordedCall { at, call, reads } = recorded;
    if matches!(call, OwnedCall::Answer { .. }) {
        return None;
    }
    if budget.is_over() || !faults(call, reads) {
        return Some(recorded.clone());
    }
    let call = match call {
        OwnedCall::Inputs(inputs) => reduce_inputs(inputs, budget, |less| faults(less, reads)),
        OwnedCall::Reports(batch) => {
            let reports = read_reports(batch.bytes(), batch.words());
            let few = minimize(reports, budget, |few| faults(&OwnedCall::Reports(few.iter().collect()), reads));
            OwnedCall::Reports(few.iter().collect())
        }
        OwnedCall::Answer { .. } => return None,
    };
    // A key that was looked up in vain is unknown in the transcript, too.
    let found = reads.iter().filter(|read| read.found.is_some()).cloned().collect();
    let reads = minimize(found, budget, |reads| faults(&call, reads));
    Some(RecordedCall { at: *at, call, reads })
}

fn reduce_inputs(inputs: &InputBatch, budget: &Budget<'_>, mut faults: impl FnMut(&OwnedCall) -> bool) -> OwnedCall {
    let numbered = || inputs.iter().enumerate();
    let mut units: Vec<NumberedLine<'_>> =
        numbered().flat_map(|(number, input)| lines(input).into_iter().map(move |line| (number, line))).collect();
    if !faults(&batch(&units)) {
        // It takes bytes behind the last newline of an input.
        units = numbered().collect();
    }
    let units = minimize(units, budget, |units| faults(&batch(units)));
    let [(number, Input { bytes, mark })] = *units else { return batch(&units) };
    // A session calls its guest once it has a whole line, so that the last newline has to stay.
    let needs_newline = mark == Mark::More && bytes.contains(&b'\n');
    let bytes = minimize(bytes.to_vec(), budget, |bytes| {
        let is_whole = !bytes.is_empty() && (!needs_newline || bytes.contains(&b'\n'));
        is_whole && faults(&batch(&[(number, Input { bytes, mark })]))
    });
    batch(&[(number, Input { bytes: &bytes, mark })])
}

/// Joins the lines of each input.
fn batch(lines: &[NumberedLine<'_>]) -> OwnedCall {
    let mut inputs = InputBatch::default();
    for lines in lines.chunk_by(|(first, _), (second, _)| first == second) {
        let bytes: Vec<u8> = lines.iter().flat_map(|(_, line)| line.bytes).copied().collect();
        let mark = lines.last().map_or(Mark::More, |(_, line)| line.mark);
        inputs.push(Input { bytes: &bytes, mark });
    }
    OwnedCall::Inputs(inputs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn inputs(inputs: &[(&str, Mark)]) -> InputBatch {
        inputs.iter().map(|&(bytes, mark)| Input { bytes: bytes.as_bytes(), mark }).collect()
    }

    /// Inputs that are left for a guest that faults if its inputs, joined, are as given.
    fn reduced(call: &[(&str, Mark)], is_faulty: impl Fn(&str) -> bool) -> Vec<(String, Mark)> {
        let budget = Budget::new(Duration::from_secs(3600), vec![]);
        let call = reduce_inputs(&inputs(call), &budget, |call| {
            let OwnedCall::Inputs(inputs) = call else { panic!("other than inputs") };
            is_faulty(str::from_utf8(inputs.bytes()).unwrap())
        });
        let OwnedCall::Inputs(inputs) = call else { panic!("other than inputs") };
        inputs.iter().map(|input| (String::from_utf8(input.bytes.into()).unwrap(), input.mark)).collect()
    }

    #[test]
    fn reduction_leaves_the_bytes_of_one_line_that_matter() {
        let call = [("IAMAT\nBOOM and more\nhello\nrest", Mark::More), ("hello\n", Mark::End)];
        let is_faulty = |text: &str| text.lines().any(|line| line.starts_with("BOOM"));
        assert_eq!(reduced(&call, is_faulty), [("BOOM\n".to_string(), Mark::More)]);
    }

    #[test]
    fn reduction_keeps_lines_and_sessions_that_fault_together_only() {
        let call = [("a\nfirst\nb\n", Mark::More), ("c\n", Mark::More), ("second\nd", Mark::End)];
        let is_faulty = |text: &str| text.contains("first\n") && text.contains("second\n");
        let expected = [("first\n".to_string(), Mark::More), ("second\n".to_string(), Mark::More)];
        assert_eq!(reduced(&call, is_faulty), expected);
    }

    #[test]
    fn reduction_keeps_bytes_behind_the_last_newline_where_they_matter() {
        let call = [("hello\n", Mark::More), ("a\nrest", Mark::More)];
        let found = reduced(&call, |text| text.contains("rest"));
        assert_eq!(found, [("\nrest".to_string(), Mark::More)]);
    }
}
