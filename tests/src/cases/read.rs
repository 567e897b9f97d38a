//! Parser of case files. The format is described in `tests/cases/README.md`.
//!
//! Rejects everything that could make a case pass by accident: undefined names, commands without an expected reply, and
//! expectations about steps that have no reply.

use std::collections::BTreeSet;

use super::Case;
use super::expected::Expected;
use super::pattern::WILD;
use super::step::{Action, Step};
use super::text::{Text, Words};
use super::topology::Topology;

/// A line that the next one may continue.
struct Line {
    number: usize,
    indent: usize,
    words: Words,
}

/// State of the parser.
struct Reader {
    topic: String,
    topology: Option<Topology>,
    comment: Vec<String>,
    cases: Vec<Case>,
}

/// Reads the cases of a file.
///
/// # Errors
///
/// Number of a line, and its error.
pub(super) fn cases(topic: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut reader = Reader { topic: topic.into(), topology: None, comment: vec![], cases: vec![] };
    let mut open: Option<Line> = None;
    for (number, text) in (1..).zip(text.lines()) {
        let indent = text.len() - text.trim_start_matches(' ').len();
        let at = |wrong: String| format!("{number}: {wrong}");
        if let (6, Some(line)) = (indent, &mut open) {
            line.words.add(text).map_err(at)?;
            continue;
        }
        if let Some(line) = open.take() {
            reader.line(&line).map_err(|wrong| format!("{}: {wrong}", line.number))?;
        }
        match (indent, text.trim_start_matches(' ')) {
            (0, "") => reader.comment.clear(),
            (0, comment) if comment.starts_with('#') => {
                reader.comment.push(comment.trim_start_matches(['#', ' ']).into());
            }
            (_, comment) if comment.starts_with('#') => {}
            (0, text) => reader.heading(number, text).map_err(at)?,
            (2 | 4, text) => {
                let mut words = Words::default();
                words.add(text).map_err(at)?;
                open = Some(Line { number, indent, words });
            }
            _ => return Err(at("a line is indented by 2, 4 or 6".into())),
        }
    }
    if let Some(line) = open {
        reader.line(&line).map_err(|wrong| format!("{}: {wrong}", line.number))?;
    }
    reader.cases.iter().try_for_each(check)?;
    Ok(reader.cases)
}

impl Reader {
    fn heading(&mut self, line: usize, text: &str) -> Result<(), String> {
        let why = std::mem::take(&mut self.comment).join(" ");
        match text.split_once(' ') {
            Some(("herd", name)) => self.topology = Some(Topology::named(name)?),
            Some(("case", name)) => {
                let topology = self.topology.clone().ok_or("a case needs a herd above it")?;
                if why.is_empty() {
                    return Err("a case needs its reason above it".into());
                }
                let (name, topic, up) = (name.into(), self.topic.clone(), topology.nodes());
                self.cases.push(Case { name, topic, why, line, topology, up, steps: vec![] });
            }
            _ => return Err(format!("`{text}` is neither a herd nor a case")),
        }
        Ok(())
    }

    fn line(&mut self, line: &Line) -> Result<(), String> {
        let case = self.cases.last_mut().ok_or("a step needs a case above it")?;
        let nodes = case.topology.nodes();
        match (line.indent, line.words.bare.split_first()) {
            (2, Some((first, up))) if first == "up" && line.words.texts.is_empty() => {
                if let Some(unknown) = up.iter().find(|node| !nodes.contains(node)) {
                    return Err(format!("the herd has no node {unknown}"));
                }
                case.up = up.to_vec();
            }
            (2, _) => case.steps.push(Step::read(line.number, &line.words, &nodes)?),
            _ => case
                .steps
                .last_mut()
                .ok_or("nothing is done that this could be expected of")?
                .expected
                .add(&line.words)?,
        }
        Ok(())
    }
}

/// Rejects undefined names, and steps with missing or impossible expectations.
fn check(case: &Case) -> Result<(), String> {
    if case.steps.is_empty() {
        return Err(format!("{}: a case without a step", case.line));
    }
    let mut names: BTreeSet<&str> = ["client", "time"].into();
    for step in &case.steps {
        let Step { line, action, expected } = step;
        let Expected { reply, then, keep, .. } = expected;
        if step.replies() != reply.is_some() || (!step.replies() && !expected.is_empty()) {
            let wrong = if step.replies() { "no reply is expected" } else { "this has no reply" };
            return Err(format!("{line}: {wrong}"));
        }
        if then.is_some() && !matches!(action, Action::Receive { .. }) {
            return Err(format!("{line}: only `receive` leaves a connection as it is"));
        }
        let burst: &[&str] = if matches!(action, Action::Burst { .. }) { &["i"] } else { &[] };
        let known = |name: &str| names.contains(name) || burst.contains(&name);
        let unknown = |text: &Option<&Text>, also: &[&str]| {
            let mut unknown = text.iter().flat_map(|text| text.names());
            unknown.find(|name| !known(name) && !also.contains(name)).map(ToString::to_string)
        };
        let in_reply: Vec<&str> = WILD.into_iter().chain(["body"]).collect();
        let name = unknown(&action.text(), &[]).or_else(|| unknown(&reply.as_ref(), &in_reply));
        if let Some(name) = name {
            return Err(format!("{line}: `{{{name}}}` stands for nothing here"));
        }
        if let Action::Time { name, .. } = action {
            names.insert(name);
        }
        names.extend(keep.as_deref());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(steps: &str) -> String {
        cases("test", &format!("herd riley\n\n# Why.\ncase a\n{steps}\n")).unwrap_err()
    }

    #[test]
    fn reading_gives_a_case_its_reason_and_line() {
        let text = "# The file.\n\nherd riley\n\n# It\n# is so.\ncase a {b} \"c\n  up Riley\n  ask Riley \"a\"\n    reply \"b\"\n      \"c\"\n";
        let cases = cases("test", text).unwrap();
        let [case] = &*cases else { panic!("{cases:?}") };
        assert_eq!((&*case.name, &*case.why, case.line), ("a {b} \"c", "It is so.", 7));
        assert_eq!((&*case.place(), &*case.up), ("cases/test.cases:7", &["Riley".to_string()][..]));
        let reply = case.steps[0].expected.reply.as_ref().unwrap();
        assert_eq!(reply.filled(&[].into()), b"bc");
    }

    #[test]
    fn reading_reports_errors_with_their_line() {
        assert_eq!(wrong(""), "4: a case without a step");
        assert_eq!(wrong("  ask Riley \"a\""), "5: no reply is expected");
        assert_eq!(wrong("  wait 5 ms\n    reply \"a\""), "5: this has no reply");
        assert_eq!(wrong("  ask Nobody \"a\""), "5: the herd has no node Nobody");
        assert_eq!(wrong("  up Nobody"), "5: the herd has no node Nobody");
        assert_eq!(wrong("  ask Riley \"{clent}\"\n    reply \"a\""), "5: `{clent}` stands for nothing here");
        assert_eq!(wrong("  ask Riley \"{json}\"\n    reply \"a\""), "5: `{json}` stands for nothing here");
        assert_eq!(wrong("  ask Riley \"a\"\n    reply \"a\"\n    result 5"), "7: `result 5` is nothing to expect");
        assert_eq!(
            wrong("  ask Riley \"a\"\n    reply \"a\"\n    results few"),
            "7: `few` is no number that fits here"
        );
        assert_eq!(wrong("  dance"), "5: `dance` is no step");
        assert_eq!(wrong("   wait 5 ms"), "5: a line is indented by 2, 4 or 6");
        assert_eq!(wrong("\ncase b"), "6: a case needs its reason above it");
    }
}
