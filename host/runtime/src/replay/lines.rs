//! Splits an input into the lines that a guest decides one by one.
//!
//! Pure. Bounds: those of the input.

use herd_sdk::{Input, Mark};

/// Returns the complete lines of an input; the input as a whole where it has none.
///
/// Bytes behind the last newline are complete only at the end of the session's input. The head of a line over the limit is
/// one line, whatever bytes it holds.
pub(crate) fn lines(input: Input<'_>) -> Vec<Input<'_>> {
    if input.mark == Mark::Overlong || input.bytes.is_empty() {
        return vec![input];
    }
    let pieces = input.bytes.split_inclusive(|&byte| byte == b'\n');
    let mut lines: Vec<Input<'_>> = pieces.map(|bytes| Input { bytes, mark: Mark::More }).collect();
    let is_single = lines.len() == 1;
    match lines.last_mut() {
        Some(last) if input.mark == Mark::End => last.mark = Mark::End,
        Some(last) if !is_single && !last.bytes.ends_with(b"\n") => drop(lines.pop()),
        _ => {}
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_complete_or_the_whole_input() {
        let split = |bytes: &'static str, mark| {
            let lines = lines(Input { bytes: bytes.as_bytes(), mark });
            lines.into_iter().map(|line| (str::from_utf8(line.bytes).unwrap(), line.mark)).collect::<Vec<_>>()
        };
        assert_eq!(split("a\nb\nc", Mark::More), [("a\n", Mark::More), ("b\n", Mark::More)]);
        assert_eq!(split("a\nb", Mark::End), [("a\n", Mark::More), ("b", Mark::End)]);
        assert_eq!(split("a\nb\n", Mark::End), [("a\n", Mark::More), ("b\n", Mark::End)]);
        assert_eq!(split("a\nb", Mark::Overlong), [("a\nb", Mark::Overlong)]);
        assert_eq!(split("frame", Mark::More), [("frame", Mark::More)]);
        assert_eq!(split("", Mark::End), [("", Mark::End)]);
    }
}
