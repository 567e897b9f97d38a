//! Parts of a call and of its decision that belong together: an input or report, and its effects, line by line where that can be told.
//!
//! Pure. A guest of a line protocol answers each line of an input with one reply or fetch; where the numbers agree, the effects up to
//! each of these belong to that line. Bounds: those of a call.

use herd_recording::{Call, OwnedCall};
use herd_sdk::batch::read_reports;
use herd_sdk::{Decision, Effect};

/// Something that was decided: a line, an input, a report or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// Index of the decision within its call.
    pub(super) index: usize,
    /// First word of the line, or a description in parentheses.
    pub(super) command: String,
    /// The bytes, for an example.
    pub(super) bytes: Vec<u8>,
}

/// Number of lines in the inputs of a call; its decisions where there are no lines.
pub(super) fn lines(call: &OwnedCall) -> usize {
    match call {
        OwnedCall::Inputs(inputs) => {
            inputs.iter().map(|input| input.bytes.split(|&byte| byte == b'\n').count() - 1).sum()
        }
        other => other.as_call().decisions(),
    }
}

/// Returns the subjects of a call with the part of each of two decisions that belongs to it.
pub(super) fn split(call: &OwnedCall, before: &Decision, after: &Decision) -> Vec<(Subject, Decision, Decision)> {
    let inputs = match call {
        OwnedCall::Inputs(inputs) => inputs,
        OwnedCall::Reports(reports) => {
            let keys: Vec<_> = read_reports(reports.bytes(), reports.words()).iter().map(|one| one.key).collect();
            let bytes = keys.join(&b' ');
            return vec![(Subject { index: 0, command: "(report)".into(), bytes }, before.clone(), after.clone())];
        }
        OwnedCall::Answer { token, .. } => {
            let subject = Subject { index: 0, command: "(answer)".into(), bytes: token.clone() };
            return vec![(subject, before.clone(), after.clone())];
        }
    };
    let (mut before, mut after) = (by_input(before).into_iter(), by_input(after).into_iter());
    let mut parts = vec![];
    for (index, input) in inputs.iter().enumerate() {
        let (before, after) = (before.next().unwrap_or_default(), after.next().unwrap_or_default());
        let lines: Vec<&[u8]> = input.bytes.split_inclusive(|&byte| byte == b'\n').collect();
        let (by_line, by_line_after) = (by_reply(&before), by_reply(&after));
        let is_told = lines.len() > 1 && by_line.len() == lines.len() && by_line_after.len() == lines.len();
        if is_told {
            let both = by_line.into_iter().zip(by_line_after);
            parts
                .extend(lines.iter().zip(both).map(|(line, (before, after))| (subject(index, &[line]), before, after)));
        } else {
            parts.push((subject(index, &lines), before, after));
        }
    }
    parts
}

/// Returns the subject of one decision of a call.
pub(super) fn subject_of(call: &OwnedCall, index: usize) -> String {
    match call.as_call() {
        Call::Inputs(inputs) => inputs.iter().nth(index).map_or(String::new(), |input| {
            let lines: Vec<&[u8]> = input.bytes.split_inclusive(|&byte| byte == b'\n').collect();
            command(&lines)
        }),
        Call::Reports(_) => "(report)".into(),
        Call::Answer { .. } => "(answer)".into(),
    }
}

fn subject(index: usize, lines: &[&[u8]]) -> Subject {
    Subject { index, command: command(lines), bytes: lines.concat() }
}

/// Returns the first word of a line, or a description in parentheses.
fn command(lines: &[&[u8]]) -> String {
    match lines {
        [line] => {
            let word = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or(b"(empty)");
            word[..word.len().min(WORD_BYTES_MAX)].escape_ascii().to_string()
        }
        [] => "(empty)".into(),
        _ => "(several lines)".into(),
    }
}

/// Splits a decision behind the end of each input.
fn by_input(decision: &Decision) -> Vec<Decision> {
    behind(decision, |effect| matches!(effect, Effect::Done(_)))
}

/// Splits a decision behind each reply and fetch. The end of the input goes to the last part.
fn by_reply(decision: &Decision) -> Vec<Decision> {
    let mut parts = behind(decision, |effect| matches!(effect, Effect::Reply(_) | Effect::Fetch(_)));
    let ends = |part: &Decision| part.effects.iter().all(|effect| matches!(effect, Effect::Done(_)));
    if let Some(end) = parts.pop_if(|part| ends(part))
        && let Some(last) = parts.last_mut()
    {
        end.effects.iter().for_each(|effect| last.effects.push(effect));
    }
    parts
}

fn behind(decision: &Decision, is_last: impl Fn(&Effect) -> bool) -> Vec<Decision> {
    let empty = || Decision { output: decision.output.clone(), ..Decision::default() };
    let (mut parts, mut part) = (vec![], empty());
    for effect in &decision.effects {
        let is_last = is_last(&effect);
        part.effects.push(effect);
        if is_last {
            parts.push(std::mem::replace(&mut part, empty()));
        }
    }
    if !part.effects.is_empty() {
        parts.push(part);
    }
    parts
}

/// Longest word that is shown as a command.
const WORD_BYTES_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use herd_sdk::{Awaiting, FanOut, Input, InputBatch, Keep, Mark, Progress, Reply, Span};

    use super::*;

    /// Replies to each line with a keep before it.
    fn decision(inputs: &[&[&str]]) -> Decision {
        let mut decision = Decision::default();
        for lines in inputs {
            for line in *lines {
                let bytes = decision.copy(line.as_bytes());
                let (rank, fan_out) = (Span::default(), FanOut::Everyone);
                decision.effects.push(Effect::Keep(Keep { key: bytes, rank, form: 1, bytes, fan_out }));
                decision.effects.push(Effect::Reply(Reply { bytes, tie: None }));
            }
            decision.effects.push(Effect::Done(Progress { consumed: 1, awaits: Awaiting::Delimiter(b'\n') }));
        }
        decision
    }

    #[test]
    fn replay_finds_the_line_that_is_decided_otherwise() {
        let batch: InputBatch =
            [&b"A 1\nB 2\n"[..], b"C 3\n"].map(|bytes| Input { bytes, mark: Mark::More }).into_iter().collect();
        let call = OwnedCall::Inputs(batch);
        let (before, after) = (decision(&[&["a", "b"], &["c"]]), decision(&[&["a", "x"], &["c"]]));
        let different: Vec<_> = split(&call, &before, &after)
            .into_iter()
            .filter(|(_, before, after)| !herd_runtime::diff(before, after).is_empty())
            .map(|(subject, ..)| subject)
            .collect();
        assert_eq!(different, [Subject { index: 0, command: "B".into(), bytes: b"B 2\n".to_vec() }]);
        assert_eq!(lines(&call), 3);
        let fewer = split(&call, &before, &decision(&[&["a"], &["c"]]));
        assert_eq!(fewer[0].0.command, "(several lines)");
        assert_eq!(subject_of(&call, 1), "C");
    }
}
