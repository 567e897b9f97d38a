//! Commands of a page of documentation, and the comparison of their output with what the page shows.
//!
//! Owns the notation of the page: blocks of the language `console` hold commands after `$ ` with their output below; a block
//! whose info string has a second word is the content of the file of that name; `^C` stops the program that still runs. In shown
//! output, `...` stands for any text, on a line of its own for any number of lines. A time with nine decimals equals any other,
//! and so does a digest in parentheses. A command without shown output prints nothing. No command fails.

mod ports;
mod reader;
mod typed;

pub use ports::Ports;
pub use reader::{Reader, Setting};
pub use typed::{TYPED_PAGES, pages_with_commands, type_pages};

/// Step of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Number of its line, from 1.
    pub line: usize,
    /// Action of the reader.
    pub action: Action,
    /// Output as shown.
    pub output: Vec<String>,
}

/// Action of a reader at a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Writes a file.
    Write {
        /// Name of the file.
        name: String,
        /// Its content.
        text: String,
    },
    /// Types a command.
    Type(String),
    /// Stops the program that still runs.
    Interrupt,
}

/// Reads the steps of a page.
#[must_use]
pub fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = vec![];
    let mut block: Option<&str> = None;
    for (line, number) in page.lines().zip(1..) {
        if let Some(info) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(info) };
            if let Some((_, name)) = block.and_then(|info| info.split_once(' ')) {
                let action = Action::Write { name: name.into(), text: String::new() };
                steps.push(Step { line: number, action, output: vec![] });
            }
            continue;
        }
        let Some(info) = block else { continue };
        let step = |action| Step { line: number, action, output: vec![] };
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (_, Some(Step { action: Action::Write { text, .. }, .. })) if info.contains(' ') => {
                text.push_str(line);
                text.push('\n');
            }
            _ if info != "console" => {}
            (Some(command), _) => steps.push(step(Action::Type(command.into()))),
            _ if line == "^C" => steps.push(step(Action::Interrupt)),
            (None, Some(last)) => last.output.push(line.into()),
            (None, None) => {}
        }
    }
    steps
}

/// Compares output with what the page shows.
#[must_use]
pub fn is_shown(shown: &[String], output: &[String]) -> bool {
    match shown.split_first() {
        None => output.is_empty(),
        Some((first, rest)) if first.trim() == ELISION => {
            (0..=output.len()).any(|skipped| is_shown(rest, &output[skipped..]))
        }
        Some((first, rest)) => {
            let Some((line, after)) = output.split_first() else { return false };
            is_like(&mask(first), &mask(line)) && is_shown(rest, after)
        }
    }
}

/// Compares one line, in which an elision stands for any text.
fn is_like(shown: &str, line: &str) -> bool {
    match shown.split_once(ELISION) {
        None => shown == line,
        Some((before, rest)) => line.strip_prefix(before).is_some_and(|line| {
            let starts = line.char_indices().map(|(start, _)| start).chain([line.len()]);
            starts.into_iter().any(|start| is_like(rest, &line[start..]))
        }),
    }
}

/// Replaces times with nine decimals and digests in parentheses, which differ from run to run.
fn mask(line: &str) -> String {
    let mut masked = String::new();
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let number = &rest[..rest.find(|c| !is_number(c)).unwrap_or(rest.len())];
        let decimals = number.split_once('.').map(|(_, decimals)| decimals.len());
        let digest = rest.get(1..9).filter(|digest| {
            first == '(' && rest[9..].starts_with(')') && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        let (text, length) = match (decimals, digest) {
            (Some(9), _) => ("TIME", number.len()),
            (_, Some(_)) => ("(DIGEST)", 10),
            _ if number.is_empty() => (&rest[..first.len_utf8()], first.len_utf8()),
            _ => (number, number.len()),
        };
        masked.push_str(text);
        rest = &rest[length..];
    }
    masked.trim_end().into()
}

const ELISION: &str = "...";

#[cfg(test)]
mod tests {
    use super::reader::is_serving;
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(Into::into).collect()
    }

    #[test]
    fn readme_steps_are_commands_files_and_interrupts_in_their_order() {
        let page = "text\n```console\n$ a b   # c\nout\n\n$ d\n```\n```toml x.toml\nk = 1\n```\n```sh\n$ ignored\n```\n```console\n^C\nbye\n```\n";
        let step = |line, action, output: &str| Step { line, action, output: lines(output) };
        assert_eq!(
            steps(page),
            [
                step(3, Action::Type("a b   # c".into()), "out\n\n"),
                step(6, Action::Type("d".into()), ""),
                step(8, Action::Write { name: "x.toml".into(), text: "k = 1\n".into() }, ""),
                step(15, Action::Interrupt, "bye"),
            ]
        );
    }

    #[test]
    fn readme_output_is_compared_but_for_elisions_times_and_digests() {
        let shown = |shown: &str, output: &str| is_shown(&lines(shown), &lines(output));
        assert!(shown("AT Riley +0.000786730 k +34.06 1.5", "AT Riley +0.012345678 k +34.06 1.5"));
        assert!(!shown("AT Riley +0.000786730 k +34.06 1.5", "AT Riley +0.012345678 k +34.07 1.5"));
        assert!(shown("generation 2 (1a2b3c4d) serving", "generation 2 (ffffffff) serving"));
        assert!(!shown("generation 2 (1a2b3c4d) serving", "generation 3 (ffffffff) serving"));
        assert!(shown("a ... c ...", "a b c d") && !shown("a ... c", "a b d") && shown("...x", "x"));
        assert!(shown("...\nb\n...", "a\na\nb") && shown("...\nb", "b") && !shown("...\nb", "b\nc"));
        assert!(shown("", "") && !shown("", "x") && !shown("x", ""));
        assert!(is_serving("cargo run --release -- up  # x") && is_serving("herd up --watch x"));
        assert!(!is_serving("herd status   # of herd up") && !is_serving("herd run Riley >log 2>&1 &   # x"));
    }
}
