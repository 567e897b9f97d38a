//! Search for code at the neighbours: whom this node has asked, and what they said.
//!
//! Knows no other search and no message. Bounds: one entry per neighbour, one download, and deadlines for a question, a download and all.

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
    pub(crate) download: Option<CodeDownload>,
    pub(crate) began: Instant,
    pub(crate) poll_at: Instant,
}

/// Download of code from a neighbour.
pub(crate) struct CodeDownload {
    pub(crate) download: Download,
    /// The neighbour has made the code itself.
    pub(crate) compiled: bool,
    /// When the last chunk came.
    pub(crate) progress_at: Instant,
}

/// The part of a search that only one of this node has.
pub(crate) struct Own {
    pub(crate) id: SearchId,
    /// Component, for the node that compiles it.
    pub(crate) component: Arc<[u8]>,
}

/// A neighbour that was asked.
pub(crate) struct Asked {
    /// To compile.
    pub(crate) compile: bool,
    /// Why it does not compile, once it is asked for signed code after that.
    pub(crate) refusal: Option<String>,
    pub(crate) answer: Answer,
    pub(crate) asked_at: Instant,
    pub(crate) heard: Instant,
}

/// Answer of a neighbour, so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing yet.
    Silent,
    /// It looks for the code, or compiles it. Whether it is on its way there.
    Working { found: bool },
    /// It has this file.
    Offered(Offer),
    /// It has none, or what it sent is not accepted.
    Nothing(String),
}

/// File that a neighbour has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) digest: Digest,
    pub(crate) bytes: usize,
    /// The neighbour has made the code itself.
    pub(crate) compiled: bool,
}

impl Asked {
    /// Returns whether it is asked to compile, or was before it was asked for signed code.
    pub(crate) fn was_asked_to_compile(&self) -> bool {
        self.compile || self.refusal.is_some()
    }
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
        let asked = Asked { compile, refusal: None, answer: Answer::Silent, asked_at: now, heard: now };
        self.asked.insert(peer.into(), asked);
        self.poll_at = now;
    }

    /// Notes that a neighbour which does not compile is asked for signed code.
    pub(crate) fn ask_for_signed(&mut self, peer: &str, refusal: String, now: Instant) {
        self.ask(peer, false, now);
        if let Some(asked) = self.asked.get_mut(peer) {
            asked.refusal = Some(refusal);
        }
    }

    /// Notes the answer of a neighbour to this question. An answer to an earlier one, from before it was asked to compile, counts for nothing.
    pub(crate) fn answer_to(&mut self, peer: &str, compile: bool, answer: Answer, now: Instant) {
        if self.asked.get(peer).is_some_and(|asked| asked.compile == compile) {
            self.answer(peer, answer, now);
        }
    }

    /// Notes what became of a neighbour that was asked.
    pub(crate) fn answer(&mut self, peer: &str, answer: Answer, now: Instant) {
        if let Some(asked) = self.asked.get_mut(peer) {
            (asked.answer, asked.heard) = (answer, now);
        }
    }

    /// Gives up on neighbours that are silent, have looked for too long, or have stopped to send.
    pub(crate) fn expire(&mut self, now: Instant) {
        if let Some(stalled) = self.download.take_if(|download| now >= download.progress_at + PROGRESS_MAX) {
            let why = format!("it stopped to send for {} s", PROGRESS_MAX.as_secs());
            self.answer(stalled.download.from(), Answer::Nothing(why), now);
        }
        for asked in self.asked.values_mut() {
            let (waits, max) = match (&asked.answer, asked.compile) {
                (Answer::Silent, _) => (now - asked.heard, SILENCE_MAX),
                (Answer::Working { .. }, _) if now - asked.heard >= SILENCE_MAX => (now - asked.heard, SILENCE_MAX),
                // Two nodes may wait for one another.
                (Answer::Working { found: false }, false) => (now - asked.asked_at, LOOK_MAX),
                (Answer::Working { found: true }, false) => (now - asked.asked_at, TRANSFER_MAX),
                (Answer::Working { .. }, true) => (now - asked.asked_at, COMPILE_MAX),
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

    /// A neighbour that has the code.
    pub(crate) fn offer(&self) -> Option<(String, Offer)> {
        self.asked.iter().find_map(|(peer, asked)| match asked.answer {
            Answer::Offered(offer) => Some((peer.clone(), offer)),
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
        // A link to a compiler may come up yet.
        let is_young = self.own.is_some()
            && self.asked.values().all(|asked| !asked.was_asked_to_compile())
            && now < self.began + LINK_WAIT;
        if now >= self.began + SEARCH_MAX {
            return true;
        }
        let is_decided = self.asked.values().all(|asked| matches!(asked.answer, Answer::Nothing(_)));
        self.download.is_none() && is_decided && !is_young
    }

    /// Reasons of those that were asked, for whoever waits.
    pub(crate) fn reasons(&self) -> String {
        let reasons = self.asked.iter().filter_map(|(peer, asked)| match &asked.answer {
            Answer::Nothing(why) => {
                let refusal = asked.refusal.as_ref().map(|refusal| format!("{refusal}; for signed code: "));
                Some(format!("{peer}: {}{why}", refusal.unwrap_or_default()))
            }
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
/// Silence of a neighbour that sends a file.
const PROGRESS_MAX: Duration = Duration::from_secs(10);
/// Longest search. The host waits a little longer.
const SEARCH_MAX: Duration = Duration::from_secs(200);
/// Wait for a link to a compiler, at a start.
const LINK_WAIT: Duration = Duration::from_secs(3);
