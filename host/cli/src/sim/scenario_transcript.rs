//! Transcript of a scenario: what its clients sent, as a test case of the guest.
//!
//! A transcript has no network, so faults are left out, and reports reach a node before each event there. Knows nothing of what the guest
//! decides. Bounds: those of a scenario.

use std::time::Duration;

use herd_sdk::Mark;
use herd_sdk::transcript::Event;
use herd_sim::{Action, EPOCH, Scenario};

/// Returns the events of the clients of a scenario as a transcript without expectations, below these comments. `asked` is a line that every
/// node is asked at the end. None if no client sends anything.
pub(super) fn scenario_transcript(scenario: &Scenario, asked: Option<&str>, comments: &[String]) -> Option<String> {
    let mut transcript = Transcript::default();
    for comment in comments.iter().flat_map(|comment| comment.lines()) {
        transcript.line(&format!("# {comment}"));
    }
    for event in &scenario.events {
        let Action::Send { client, node, text, cuts, .. } = &event.action else { continue };
        transcript.select(node);
        let now = EPOCH + Duration::from_secs_f64(event.at.max(0.0));
        transcript.event(&Event::Now(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)));
        transcript.reach();
        transcript.event(&Event::Session(format!("client{client}")));
        for piece in pieces(text, cuts) {
            transcript.input(piece);
        }
        transcript.heard();
    }
    let nodes: Vec<String> = transcript.nodes.iter().map(|node| node.name.clone()).collect();
    if let Some(line) = asked {
        for node in &nodes {
            transcript.select(node);
            transcript.reach();
            transcript.event(&Event::Session("asking".into()));
            transcript.input(&format!("{line}\n"));
        }
    }
    (!nodes.is_empty()).then_some(transcript.text)
}

#[derive(Default)]
struct Transcript {
    text: String,
    nodes: Vec<Node>,
    selected: usize,
}

/// Node with what has not reached it yet.
struct Node {
    name: String,
    /// Nodes that had events since reports of theirs came here.
    news: Vec<String>,
}

impl Transcript {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn event(&mut self, event: &Event) {
        self.line(&event.to_string());
    }

    fn input(&mut self, text: &str) {
        self.event(&Event::Input { bytes: text.into(), mark: Mark::More });
    }

    fn select(&mut self, name: &str) {
        let known = self.nodes.iter().position(|node| node.name == name);
        if known != Some(self.selected) {
            self.line("");
            self.event(&Event::Node(name.into()));
        }
        self.selected = known.unwrap_or_else(|| {
            // Of what happened before, it is told by the nodes where that was.
            let news = self.nodes.iter().map(|node| node.name.clone()).collect();
            self.nodes.push(Node { name: name.into(), news });
            self.nodes.len() - 1
        });
    }

    /// Lets the reports of the other nodes reach the selected one.
    fn reach(&mut self) {
        for from in std::mem::take(&mut self.nodes[self.selected].news) {
            self.event(&Event::Flood { from });
        }
    }

    /// Notes that the selected node has something to tell.
    fn heard(&mut self) {
        let name = self.nodes[self.selected].name.clone();
        for (_, other) in self.nodes.iter_mut().enumerate().filter(|(index, _)| *index != self.selected) {
            if !other.news.contains(&name) {
                other.news.push(name.clone());
            }
        }
    }
}

/// Splits a text at these places.
fn pieces<'a>(text: &'a str, cuts: &[usize]) -> Vec<&'a str> {
    let (mut pieces, mut rest, mut taken) = (Vec::new(), text, 0);
    for cut in cuts {
        if let Some((piece, behind)) = cut.checked_sub(taken).and_then(|length| rest.split_at_checked(length)) {
            (taken, rest) = (*cut, behind);
            pieces.push(piece);
        }
    }
    pieces.push(rest);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use herd_sdk::transcript::Transcript;
    use herd_sim::{SimOptions, TimedAction};

    use super::*;

    fn send(at: f64, client: usize, node: &str, text: &str, cuts: &[usize]) -> TimedAction {
        let (node, text, cuts) = (node.into(), text.into(), cuts.to_vec());
        TimedAction { at, action: Action::Send { client, node, worker: 0, text, cuts } }
    }

    #[test]
    fn scenario_becomes_a_transcript_in_which_reports_reach_the_node_that_is_asked() {
        let cut = TimedAction { at: 0.2, action: Action::Cut { node: "Riley".into(), peer: "Jaquez".into() } };
        let events = vec![
            send(0.5, 3, "Riley", "IAMAT kiwi +34-118 5\n", &[6]),
            cut,
            send(1.25, 4, "Jaquez", "WHATSAT \"k\\\n", &[]),
        ];
        let scenario = Scenario::of(SimOptions::new(7), events);
        let text = scenario_transcript(&scenario, Some("WHATSAT kiwi 10 5"), &["it\nbreaks".into()]).unwrap();
        let expected = concat!(
            "# it\n# breaks\n",
            "\nnode Riley\nnow 1795504736.500000000\nsession client3\n",
            "input \"IAMAT \"\ninput \"kiwi +34-118 5\\n\"\n",
            "\nnode Jaquez\nnow 1795504737.250000000\nflood from Riley\nsession client4\n",
            "input 'WHATSAT \"k\\\\\\n'\n",
            "\nnode Riley\nflood from Jaquez\nsession asking\ninput \"WHATSAT kiwi 10 5\\n\"\n",
            "\nnode Jaquez\nsession asking\ninput \"WHATSAT kiwi 10 5\\n\"\n",
        );
        assert_eq!(text, expected);
        Transcript::parse("scenario", &text).unwrap();
        assert_eq!(scenario_transcript(&Scenario::of(SimOptions::new(7), vec![]), None, &[]), None);
    }
}
