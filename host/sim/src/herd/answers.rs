//! Answers of guests: replies that have to come, and questions that all nodes answer alike once all is quiet.
//!
//! Knows the line protocol, and the lines of a check file. Bounds: one question of each kind about a client, at each node.

use std::net::{Ipv4Addr, SocketAddr};

use super::{Herd, MILLISECOND, SECOND};
use crate::check_file::{Exchange, matches};
use crate::client::{Client, ClientReply, Pending, Session, client_name};
use crate::decision_checks::text;
use crate::simulation::Protocol;
use crate::told::fields_of_iamat;
use crate::violation::Violation;

impl Herd<'_> {
    /// Excludes a client from the checks of answers, because something other than its guest changed the record.
    pub(super) fn disclaim(&mut self, key: &str) {
        if let Some(told) = &mut self.told {
            told.disclaim(key);
        }
    }

    /// Checks that a reply is one to its line, if guests are checked.
    pub(super) fn check_reply(&mut self, node: usize, line: &Pending, reply: &ClientReply) {
        let Some(told) = &mut self.told else { return };
        let (ClientReply::Kept(bytes)
        | ClientReply::Unconfirmed(bytes)
        | ClientReply::Answer(bytes)
        | ClientReply::Unknown(bytes)) = reply;
        let written = String::from_utf8_lossy(bytes);
        let first = written.lines().next().unwrap_or_default();
        let is_right = match reply {
            ClientReply::Kept(_) => {
                let fields = fields_of_iamat(&line.line).map(|(_, fields)| fields);
                told.kept(first);
                first.starts_with("AT ") && first.splitn(4, ' ').nth(3) == fields
            }
            ClientReply::Answer(_) => {
                first.starts_with("AT ") && first.split(' ').nth(3) == line.line.split(' ').nth(1)
            }
            ClientReply::Unconfirmed(_) | ClientReply::Unknown(_) => first.strip_prefix("? ") == Some(&line.line),
        };
        if !is_right {
            let (node, line) = (self.nodes[node].name.into(), line.line.clone());
            self.broken.get_or_insert(Violation::WrongReply { node, line, reply: text(bytes) });
        }
    }

    /// Checks that no client waits for a reply, but in sessions that a guest ended.
    pub(super) fn check_sessions(&self) -> Result<(), Violation> {
        let sessions = self.clients.iter().filter_map(|client| client.session.as_ref());
        let sessions = sessions.filter(|session| !session.dialogue.is_closing());
        let mut waiting = sessions.filter_map(|session| Some((session.node, session.pending.front()?)));
        waiting.next().map_or(Ok(()), |(node, line)| {
            Err(Violation::Unanswered { node: self.nodes[node].name.into(), line: line.line.clone() })
        })
    }

    /// Asks every node of a quiet herd about every client, and checks that all answer alike and with no less than clients were told.
    ///
    /// Clients of another protocol than that of lines are all that a line may have named: what they were told is not known.
    pub(super) fn ask_everywhere(&mut self) -> Result<(), Violation> {
        if self.simulation.protocol == Protocol::Line && self.told.is_none() {
            return Ok(());
        }
        self.wait_for(REPLY_NS_MAX, Self::check_sessions)?;
        // Records that expire are not at all nodes at once: their clocks differ.
        if self.settings.expire_after_s > 0 {
            return Ok(());
        }
        let Some(told) = &self.told else {
            return (0..self.keys).try_for_each(|key| self.check_at_rest(&client_name(key)));
        };
        for key in told.keys() {
            let question = format!("WHATSAT {key} 10 5");
            let is_complete = |reply: &[u8]| reply.ends_with(if reply.starts_with(b"? ") { b"\n" } else { b"\n\n" });
            let answers = self.ask(&question, is_complete)?;
            for (node, answer) in answers.iter().enumerate() {
                let name = |node: usize| self.nodes[node].name.to_string();
                let first = answer.lines().next().unwrap_or_default();
                if let Some(told) = self.told.as_ref().and_then(|told| told.contradicts(&key, first)) {
                    return Err(Violation::NotNewest { node: name(node), line: question, told, answer: first.into() });
                }
                if *answer != answers[0] {
                    let of = |node: usize, answer: &str| format!("{} by {}", text(answer.as_bytes()), name(node));
                    let (left, right) = (of(0, &answers[0]), of(node, answer));
                    return Err(Violation::AnswersDiffer { line: question, left, right });
                }
            }
            self.check_at_rest(&key)?;
        }
        Ok(())
    }

    /// Asks every node the lines of the check file about a client.
    fn check_at_rest(&mut self, key: &str) -> Result<(), Violation> {
        let Some(check) = self.simulation.check else { return Ok(()) };
        check.at_rest.iter().try_for_each(|exchange| self.exchange(exchange, key))
    }

    /// Sends a line of a check file to every node, and compares the replies with the file.
    fn exchange(&mut self, exchange: &Exchange, key: &str) -> Result<(), Violation> {
        let of_key = |text: &str| text.replace("{client}", key);
        let lines = exchange.replies.len();
        let is_complete = |reply: &[u8]| reply.iter().filter(|&&byte| byte == b'\n').count() >= lines;
        let line = of_key(&exchange.line);
        let answers = self.ask(&line, is_complete)?;
        for (node, answer) in answers.iter().enumerate() {
            for (expected, got) in exchange.replies.iter().map(|reply| of_key(reply)).zip(answer.lines()) {
                if !matches(&expected, got) {
                    let (node, got) = (self.nodes[node].name.into(), got.into());
                    return Err(Violation::CheckFails { node, line, expected, got });
                }
            }
        }
        Ok(())
    }

    /// Sends a line to every node, each in a new session, and returns the replies once they are complete.
    fn ask(&mut self, line: &str, is_complete: impl Fn(&[u8]) -> bool) -> Result<Vec<String>, Violation> {
        let first = self.clients.len();
        for node in 0..self.nodes.len() {
            self.sessions += 1;
            let (number, now, address) = (self.sessions, self.instant(), SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
            let mut client = Client::new(&mut self.fate);
            if let Some(process) = &self.nodes[node].process {
                let dialogue = process.workers[0].dialogues.begin(number, address, now);
                dialogue.receive(format!("{line}\n").as_bytes());
                client.session = Some(Session::new(node, 0, dialogue, number));
            }
            self.clients.push(client);
            self.schedule_decision(node, 0);
        }
        let until = self.now + REPLY_NS_MAX;
        loop {
            self.run_until(self.now + 10 * MILLISECOND)?;
            let sessions = self.clients[first..].iter().filter_map(|client| client.session.as_ref());
            match sessions.clone().find(|session| !is_complete(&session.received)) {
                None => break,
                Some(session) if self.now > until => {
                    return Err(Violation::Unanswered {
                        node: self.nodes[session.node].name.into(),
                        line: line.into(),
                    });
                }
                Some(_) => {}
            }
        }
        self.report.asked += self.nodes.len() as u64;
        let asked = self.clients.split_off(first);
        let received = asked.into_iter().filter_map(|client| Some(client.session?.received));
        Ok(received.map(|received| String::from_utf8_lossy(&received).into_owned()).collect())
    }
}

/// Time in which a quiet node answers: longer than a slot with a fetch may take, and than a keep may wait for its confirmation.
const REPLY_NS_MAX: u64 = 20 * SECOND;
