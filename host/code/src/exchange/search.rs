//! Search for code at the neighbours: whom this node has asked, and what they said.
//!
//! Knows no other search and no message. Bounds: one entry per neighbour, one download, and a deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use herd_model::{Digest, Download};

use crate::compiled_code::Wanted;

/// Number of a search that this node began for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SearchId(pub u64);

/// Search in progress.
pub(crate) struct Search {
    pub(crate) wanted: Wanted,
    /// For whom. None: for peers alone.
    pub(crate) own: Option<Own>,
    /// Peers that wait for it, and are not asked.
    pub(crate) waiting: BTreeSet<String>,
    pub(crate) asked: BTreeMap<String, Asked>,
    pub(crate) hops: u8,
    pub(crate) download: Option<(String, Download)>,
    pub(crate) began: Instant,
    pub(crate) poll_at: Instant,
}

/// What makes a search one of this node.
pub(crate) struct Own {
    pub(crate) id: SearchId,
    /// Component, for the node that compiles it.
    pub(crate) component: Arc<[u8]>,
}

/// A neighbour that was asked.
pub(crate) struct Asked {
    /// To compile.
    pub(crate) compile: bool,
    pub(crate) answer: Answer,
    pub(crate) heard: Instant,
}

/// What a neighbour has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing yet.
    Silent,
    /// It looks for the code, or compiles it. Whether it is on its way there.
    Working { found: bool },
    /// It has a file of this digest.
    Offered(Digest),
    /// It has none, or what it sent is not accepted.
    Nothing(String),
}

impl Search {
    pub(crate) fn new(wanted: Wanted, own: Option<Own>, hops: u8, now: Instant) -> Self {
        Self {
            wanted,
            own,
            waiting: BTreeSet::new(),
            asked: BTreeMap::new(),
            hops,
            download: None,
            began: now,
            poll_at: now,
        }
    }

    /// Notes that a neighbour is asked.
    pub(crate) fn ask(&mut self, peer: &str, compile: bool, now: Instant) {
        self.asked.insert(peer.into(), Asked { compile, answer: Answer::Silent, heard: now });
        self.poll_at = now;
    }

    /// Notes the answer of a neighbour that was asked.
    pub(crate) fn answer(&mut self, peer: &str, answer: Answer, now: Instant) {
        if let Some(asked) = self.asked.get_mut(peer) {
            (asked.answer, asked.heard) = (answer, now);
        }
    }

    /// Gives up on neighbours that are silent or have looked for too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        for asked in self.asked.values_mut() {
            let (waits, max) = match (&asked.answer, asked.compile) {
                (Answer::Silent, _) => (now - asked.heard, SILENCE_MAX),
                (Answer::Working { .. }, _) if now - asked.heard >= SILENCE_MAX => (now - asked.heard, SILENCE_MAX),
                // Two nodes may wait for one another.
                (Answer::Working { found: false }, false) => (now - self.began, LOOK_MAX),
                (Answer::Working { found: true }, false) => (now - self.began, TRANSFER_MAX),
                (Answer::Working { .. }, true) => (now - self.began, COMPILE_MAX),
                _ => continue,
            };
            if waits >= max {
                asked.answer = Answer::Nothing(format!("no answer in {} s", max.as_secs()));
            }
        }
    }

    /// Neighbours that are asked again: they have not decided.
    pub(crate) fn undecided(&self) -> impl Iterator<Item = (&String, &Asked)> {
        self.asked.iter().filter(|(_, asked)| matches!(asked.answer, Answer::Silent | Answer::Working { .. }))
    }

    /// A neighbour that has the code, with the digest of its file.
    pub(crate) fn offer(&self) -> Option<(String, Digest)> {
        self.asked.iter().find_map(|(peer, asked)| match asked.answer {
            Answer::Offered(digest) => Some((peer.clone(), digest)),
            _ => None,
        })
    }

    /// Returns whether code is on its way here.
    pub(crate) fn is_found(&self) -> bool {
        let has_found = |asked: &Asked| asked.answer == Answer::Working { found: true };
        self.download.is_some() || self.asked.values().any(has_found)
    }

    /// Returns whether nobody can help any more.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let is_young = self.own.is_some() && self.asked.is_empty() && now < self.began + LINK_WAIT;
        let is_decided = self.asked.values().all(|asked| matches!(asked.answer, Answer::Nothing(_)));
        self.download.is_none() && is_decided && !is_young
    }

    /// Reasons of those that were asked, for whoever waits.
    pub(crate) fn reasons(&self) -> String {
        let reasons = self.asked.iter().filter_map(|(peer, asked)| match &asked.answer {
            Answer::Nothing(why) => Some(format!("{peer}: {why}")),
            _ => None,
        });
        reasons.collect::<Vec<_>>().join("; ")
    }
}

/// Between two questions to one neighbour.
pub(crate) const POLL: Duration = Duration::from_millis(300);
/// Silence after which a neighbour is not waited for: it repeats "working" at every question. It may be of a version that does not know
/// them.
const SILENCE_MAX: Duration = Duration::from_secs(4);
/// Longest search at a neighbour for code that others have.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// Longest way of code from node to node to a neighbour.
const TRANSFER_MAX: Duration = Duration::from_secs(60);
/// Longest compilation that is waited for: a guest in Python takes half a minute on a fast processor.
const COMPILE_MAX: Duration = Duration::from_secs(180);
/// Wait for a first link, at a start.
const LINK_WAIT: Duration = Duration::from_secs(3);
