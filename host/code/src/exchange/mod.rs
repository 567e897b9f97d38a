//! Exchange of compiled code between nodes, as a state machine.
//!
//! A node that needs code asks its neighbours. Those named in its configuration are asked to compile, one after the other; if it has keys
//! of signatures, all are asked for signed code, and pass the question on. Files travel by digest, chunk by chunk.
//!
//! The node that would run code decides on it ([`ExchangePort::accept`]). It takes unsigned code of a compiler only if that says
//! that it made the code itself, which a compiler says of nothing that it was sent. A node that passes signed code on need not be trusted.
//!
//! Any message may be lost: a question is repeated until it is answered. No clock, socket or thread: time is an argument, and what is to be
//! done comes out as [`Action`]s.
//!
//! Bounds: [`SEARCHES_MAX`] searches of this node, [`RELAYS_MAX`] for peers, of files of [`RELAY_BYTES_MAX`] bytes, [`JOBS_MAX`] compilations for others, [`HELD_MAX`] files in memory of [`HELD_BYTES_MAX`] bytes,
//! those of others for [`HELD_UNASKED_MAX`] after the last question; files for which the host has memory; and the waits in `search`.

mod message;
mod search;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use herd_model::limits::GUEST_BYTES_MAX;
use herd_model::{Chunk, Digest, Download, Next};

use self::message::Message;
use self::search::{Answer, CodeDownload, Offer, Own, POLL, Search};
use crate::compiled_code::{CODE_FILE_BYTES_MAX, CompiledCode, Wanted};

pub use self::message::{Incoming, Malformed};
pub use self::search::SearchId;

/// Port to the node: the code and the components that it has, and its decision on code of others.
pub trait ExchangePort {
    /// Returns a file of signed code that this node has, for the target or for one that needs less of the processor.
    fn code(&self, wanted: &Wanted) -> Option<Arc<[u8]>>;

    /// Returns a component that this node has.
    fn component(&self, guest: Digest) -> Option<Arc<[u8]>>;

    /// Decides whether this node runs code of a guest that a neighbour sent, which may be for any target. `from_compiler` says that the
    /// configuration names the neighbour as a compiler, and that it has made the code.
    ///
    /// # Errors
    ///
    /// The reason for which it does not.
    fn accept(&self, from_compiler: bool, code: &CompiledCode) -> Result<(), String>;
}

/// Permissions from the configuration.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    /// Nodes whose code this node runs.
    pub compilers: Vec<String>,
    /// This node has keys, so signed code of anybody is of use.
    pub takes_signed: bool,
    /// This node compiles for others.
    pub compiles: bool,
}

/// Effect that the driver of the exchange performs.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a message to a neighbour.
    Send(String, Vec<u8>),
    /// Compile this component, and report with [`Exchange::compiled`].
    Compile(Wanted, Arc<[u8]>),
    /// A search of this node has ended: with code that the port accepted, or with the reasons.
    Ended(SearchId, Result<FoundCode, String>),
}

/// Code that a search has found, and that the port has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundCode {
    /// The code.
    pub code: CompiledCode,
    /// Neighbour that the configuration names as a compiler, and that has made it. None: it was accepted for its signatures.
    pub compiler: Option<String>,
}

/// Exchange of one node.
pub struct Exchange {
    permissions: Permissions,
    linked: BTreeSet<String>,
    searches: Vec<Search>,
    jobs: Vec<Job>,
    /// Files that neighbours may get, newest last.
    held: VecDeque<Held>,
    next_search: u64,
    /// Longest file for which this host has memory now, in bytes.
    file_bytes_max: usize,
    actions: Vec<Action>,
}

/// Compilation for others.
struct Job {
    wanted: Wanted,
    waiting: BTreeSet<String>,
    /// Download of the component. None: it compiles.
    download: Option<Download>,
    /// When it was last asked for.
    asked_at: Instant,
    /// When the last part of the component came.
    progress_at: Instant,
    /// Once it has failed, the reason, for those that ask until then.
    failed: Option<(String, Instant)>,
}

struct Held {
    wanted: Wanted,
    digest: Digest,
    file: Arc<[u8]>,
    /// This node has made the code.
    compiled: bool,
    is_signed: bool,
    /// When it was last asked for.
    asked_at: Instant,
}

impl Exchange {
    /// Creates the exchange of a node without links.
    #[must_use]
    pub fn new(permissions: Permissions) -> Self {
        let (linked, searches, jobs) = (BTreeSet::new(), Vec::new(), Vec::new());
        let (held, actions) = (VecDeque::new(), Vec::new());
        Self { permissions, linked, searches, jobs, held, next_search: 0, file_bytes_max: usize::MAX, actions }
    }

    /// Takes the length of the longest file for which this host has memory now, in bytes. A longer one is not downloaded.
    pub fn limit_files(&mut self, bytes_max: usize) {
        self.file_bytes_max = bytes_max;
    }

    /// Returns what is to be done since the last call.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Starts a search for code of a component. [`Action::Ended`] follows.
    pub fn search(&mut self, wanted: Wanted, component: Arc<[u8]>, now: Instant) -> SearchId {
        let id = SearchId(self.next_search);
        self.next_search += 1;
        let mut search = Search::new(wanted, Some(Own { id, component }), HOPS_MAX, now);
        // Those who asked for the same wait for this one.
        if let Some(relayed) = self.relayed(&search.wanted) {
            search.waiting = self.searches.swap_remove(relayed).waiting;
        }
        if self.searches.iter().filter(|search| search.own.is_some()).count() >= SEARCHES_MAX {
            self.actions.push(Action::Ended(id, Err("too many searches for code at once".into())));
            return id;
        }
        self.searches.push(search);
        self.tick(now);
        id
    }

    /// Takes the peers to which links are up now.
    pub fn linked(&mut self, peers: BTreeSet<String>, now: Instant) {
        if peers == self.linked {
            return;
        }
        let before = std::mem::replace(&mut self.linked, peers);
        for peer in before.difference(&self.linked) {
            for search in &mut self.searches {
                search.waiting.remove(peer);
                search.answer(peer, Answer::Nothing("its link went down".into()), now);
                search.download.take_if(|download| download.download.from() == peer);
            }
            for job in &mut self.jobs {
                job.waiting.remove(peer);
            }
        }
        // A component that nobody sends any more. What compiles goes on: its code is kept for whoever asks again.
        self.jobs.retain(|job| job.download.is_none() || !job.waiting.is_empty());
        self.tick(now);
    }

    /// Takes the result of a compilation: a file of code.
    pub fn compiled(&mut self, wanted: &Wanted, result: Result<CompiledCode, String>, now: Instant) {
        let Some(at) = self.jobs.iter().position(|job| job.wanted == *wanted) else { return };
        let waiting = std::mem::take(&mut self.jobs[at].waiting);
        match result {
            Ok(code) => {
                self.jobs.swap_remove(at);
                self.offer(wanted, (code.encode().into(), false), true, waiting, now);
            }
            Err(why) => {
                for peer in waiting {
                    self.send(&peer, &Message::nothing(wanted, true, &why));
                }
                self.jobs[at].failed = Some((why, now + FAILED_KEPT));
            }
        }
    }

    /// Returns whether nothing is under way, so that time changes nothing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.searches.is_empty() && self.jobs.is_empty() && self.held.iter().all(|held| held.compiled)
    }

    /// Handles the message of a neighbour.
    pub fn receive(&mut self, from: &str, Incoming(message): Incoming, port: &impl ExchangePort, now: Instant) {
        match message {
            Message::Want { wanted, compile, hops } => self.wanted(from, wanted, compile, hops, port, now),
            Message::Working { wanted, compile, found } => {
                self.answered(from, (&wanted, compile), Answer::Working { found }, now);
            }
            Message::Offer { wanted, compile, digest, bytes, compiled } => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                self.answered(from, (&wanted, compile), Answer::Offered(Offer { digest, bytes, compiled }), now);
                self.download_offers(now);
            }
            Message::Nothing { wanted, compile, why } => {
                self.answered(from, (&wanted, compile), Answer::Nothing(why), now);
            }
            Message::Get { digest, offset } => self.send_chunk(from, digest, offset, now),
            Message::Part(chunk) => self.received(from, chunk, port, now),
            Message::NotFound(digest) => self.not_found(from, digest, now),
        }
        self.tick(now);
    }

    /// Repeats questions, and ends what has waited for too long.
    pub fn tick(&mut self, now: Instant) {
        self.jobs.retain(|job| job.failed.as_ref().is_none_or(|(_, until)| now < *until));
        // What this node has made it keeps, because nobody else has it. The rest is on the disk of this node or of another one.
        self.held.retain(|held| held.compiled || now < held.asked_at + HELD_UNASKED_MAX);
        // What compiles goes on; a component that nobody waits for any more is not waited for.
        self.jobs.retain(|job| {
            job.download.is_none() || (now < job.asked_at + UNASKED_MAX && now < job.progress_at + UNASKED_MAX)
        });
        for at in 0..self.searches.len() {
            // Before others are asked, which may be because this one said nothing.
            self.searches[at].expire(now);
            self.ask_more(at, now);
            let search = &mut self.searches[at];
            if let Some(CodeDownload { download, .. }) = &mut search.download
                && let Next::Get(from, offset) = download.tick(&BTreeSet::from([download.from().to_string()]), now)
            {
                let get = Message::Get { digest: download.digest(), offset };
                self.actions.push(Action::Send(from, get.encode()));
            }
            if now >= search.poll_at {
                search.poll_at = now + POLL;
                let questions = search.undecided().map(|(peer, asked)| {
                    let wanted = search.wanted.clone();
                    (peer.clone(), Message::Want { wanted, compile: asked.compile, hops: search.hops }.encode())
                });
                self.actions.extend(questions.map(|(peer, question)| Action::Send(peer, question)));
            }
        }
        self.download_offers(now);
        while let Some(over) = self.searches.iter().position(|search| search.is_over(now)) {
            let search = self.searches.swap_remove(over);
            self.failed(search);
        }
    }

    /// Asks those neighbours that may be asked and were not.
    fn ask_more(&mut self, at: usize, now: Instant) {
        let search = &mut self.searches[at];
        if search.own.is_some() {
            // One after the other: each of them would compile.
            let is_hopeful =
                search.asked.values().any(|asked| asked.compile && !matches!(asked.answer, Answer::Nothing(_)));
            let fresh = |name: &&String| search.asked.get(*name).is_none_or(|asked| !asked.was_asked_to_compile());
            let mut next = self.permissions.compilers.iter().filter(|name| self.linked.contains(*name)).filter(fresh);
            if !is_hopeful && let Some(compiler) = next.next() {
                let compiler = compiler.clone();
                search.ask(&compiler, true, now);
            }
        }
        if self.permissions.takes_signed || search.own.is_none() {
            let unasked: Vec<String> =
                self.linked.iter().filter(|peer| !search.asked.contains_key(*peer)).cloned().collect();
            // A compiler that cannot compile may have signed code, which an operator brought to it.
            let refused = search.asked.iter().filter_map(|(peer, asked)| match &asked.answer {
                Answer::Nothing(why) if asked.compile && self.linked.contains(peer) => {
                    Some((peer.clone(), why.clone()))
                }
                _ => None,
            });
            if self.permissions.takes_signed {
                for (peer, why) in refused.collect::<Vec<_>>() {
                    search.ask_for_signed(&peer, why, now);
                }
            }
            for peer in unasked {
                // Not back to where the question of a peer came from.
                if search.own.is_some() || !search.waiting.contains(&peer) {
                    search.ask(&peer, false, now);
                }
            }
        }
    }

    /// Answers a question for code.
    fn wanted(&mut self, from: &str, wanted: Wanted, compile: bool, hops: u8, port: &impl ExchangePort, now: Instant) {
        // Who asks for a compilation trusts this node's own, and who does not needs signatures.
        let is_of_use = |held: &&Held| held.wanted == wanted && if compile { held.compiled } else { held.is_signed };
        if let Some(at) = self.held.iter().position(|held| is_of_use(&held)) {
            let Held { digest, file, compiled, asked_at, .. } = &mut self.held[at];
            *asked_at = now;
            let offer =
                Message::Offer { wanted, compile, digest: *digest, bytes: file.len() as u64, compiled: *compiled };
            return self.send(from, &offer);
        }
        if !compile && let Some(file) = port.code(&wanted) {
            return self.offer(&wanted, (file, true), false, BTreeSet::from([from.to_string()]), now);
        }
        let answer =
            if compile { self.compile_for(from, &wanted, port, now) } else { self.pass_on(from, &wanted, hops, now) };
        let answer = match answer {
            Ok(found) => Message::Working { wanted, compile, found },
            Err(why) => Message::nothing(&wanted, compile, &why),
        };
        self.send(from, &answer);
    }

    fn compile_for(
        &mut self,
        from: &str,
        wanted: &Wanted,
        port: &impl ExchangePort,
        now: Instant,
    ) -> Result<bool, String> {
        if !self.permissions.compiles {
            return Err("it does not compile for others: its own configuration does not name it in `swap.compilers`, or it has no compiler".into());
        }
        if let Some(job) = self.jobs.iter_mut().find(|job| job.wanted == *wanted) {
            if let Some((why, _)) = &job.failed {
                return Err(why.clone());
            }
            job.waiting.insert(from.into());
            job.asked_at = now;
            if let Some(download) = &mut job.download
                && let Next::Get(peer, offset) = download.tick(&job.waiting, now)
            {
                let get = Message::Get { digest: wanted.guest, offset };
                self.send(&peer, &get);
            }
            return Ok(false);
        }
        // Told to wait, and so asked again.
        if self.jobs.len() >= JOBS_MAX {
            return Ok(false);
        }
        let waiting = BTreeSet::from([from.to_string()]);
        let mut job =
            Job { wanted: wanted.clone(), waiting, download: None, asked_at: now, progress_at: now, failed: None };
        match port.component(wanted.guest) {
            Some(component) => self.actions.push(Action::Compile(wanted.clone(), component)),
            None => {
                let (download, _) = Download::new(wanted.guest, GUEST_BYTES_MAX, from, now);
                job.download = Some(download);
                self.send(from, &Message::Get { digest: wanted.guest, offset: 0 });
            }
        }
        self.jobs.push(job);
        Ok(false)
    }

    /// Looks for code for a peer. True once it is found.
    fn pass_on(&mut self, from: &str, wanted: &Wanted, hops: u8, now: Instant) -> Result<bool, String> {
        if let Some(search) = self.searches.iter_mut().find(|search| search.wanted == *wanted) {
            search.waiting.insert(from.into());
            return Ok(search.is_found());
        }
        let relays = self.searches.iter().filter(|search| search.own.is_none()).count();
        if hops == 0 || self.linked.iter().all(|peer| peer == from) {
            return Err(HAS_NONE.into());
        }
        // Told to wait, and so asked again: a refusal would be final, and fail a swap for which the code is two links away.
        if relays >= RELAYS_MAX {
            return Ok(false);
        }
        let mut search = Search::new(wanted.clone(), None, hops - 1, now);
        search.waiting.insert(from.into());
        self.searches.push(search);
        Ok(false)
    }

    fn answered(&mut self, from: &str, (wanted, compile): (&Wanted, bool), answer: Answer, now: Instant) {
        for search in self.searches.iter_mut().filter(|search| search.wanted == *wanted) {
            search.answer_to(from, compile, answer.clone(), now);
        }
    }

    fn download_offers(&mut self, now: Instant) {
        let room = self.file_bytes_max;
        for search in self.searches.iter_mut().filter(|search| search.download.is_none()) {
            let Some((peer, Offer { digest, bytes, compiled })) = search.offer() else { continue };
            if search.own.is_none() && bytes > RELAY_BYTES_MAX {
                search.answer(&peer, Answer::Nothing("it is too large to be passed on".into()), now);
                continue;
            }
            // Before the first byte: the kernel would end the process for the last one, again after each restart.
            if bytes > room {
                let why = format!("its code has {} MiB, and this host has memory for {} MiB", bytes >> 20, room >> 20);
                search.answer(&peer, Answer::Nothing(why), now);
                continue;
            }
            let (download, _) = Download::new(digest, bytes.min(CODE_FILE_BYTES_MAX), &peer, now);
            search.download = Some(CodeDownload { download, compiled, progress_at: now });
            self.actions.push(Action::Send(peer, Message::Get { digest, offset: 0 }.encode()));
        }
    }

    fn send_chunk(&mut self, to: &str, digest: Digest, offset: u64, now: Instant) {
        for held in self.held.iter_mut().filter(|held| held.digest == digest) {
            held.asked_at = now;
        }
        let components =
            self.searches.iter().filter_map(|search| Some((search.wanted.guest, &search.own.as_ref()?.component)));
        let held = self.held.iter().map(|held| (held.digest, &held.file));
        let file = held.chain(components).find(|(known, _)| *known == digest);
        let answer = file.map_or(Message::NotFound(digest), |(_, file)| Message::Part(Chunk::of(digest, file, offset)));
        self.send(to, &answer);
    }

    /// Handles a chunk: of code that was offered, or of a component to compile.
    fn received(&mut self, from: &str, chunk: Chunk, port: &impl ExchangePort, now: Instant) {
        let digest = chunk.digest;
        let is_of = |download: &Download| download.from() == from && download.digest() == digest;
        let of_search = |search: &Search| search.download.as_ref().is_some_and(|code| is_of(&code.download));
        if let Some(at) = self.searches.iter().position(of_search) {
            let Some(code) = &mut self.searches[at].download else { return };
            match code.download.receive(from, chunk, now) {
                Next::Get(_, offset) => {
                    code.progress_at = now;
                    self.send(from, &Message::Get { digest, offset });
                }
                Next::Done(file) => self.arrived(at, from, file, port, now),
                Next::Corrupt(_) => self.refuse(at, from, "it sent bytes with another digest".into(), now),
                Next::Wait => {}
            }
            return;
        }
        let of_job = |job: &Job| job.download.as_ref().is_some_and(is_of);
        if let Some(at) = self.jobs.iter().position(of_job) {
            let Some(download) = &mut self.jobs[at].download else { return };
            match download.receive(from, chunk, now) {
                Next::Get(_, offset) => {
                    self.jobs[at].progress_at = now;
                    self.send(from, &Message::Get { digest, offset });
                }
                Next::Done(component) => {
                    self.jobs[at].download = None;
                    self.actions.push(Action::Compile(self.jobs[at].wanted.clone(), component.into()));
                }
                Next::Corrupt(_) | Next::Wait => {}
            }
        }
    }

    /// Handles a file of code that is complete.
    fn arrived(&mut self, at: usize, from: &str, file: Vec<u8>, port: &impl ExchangePort, now: Instant) {
        let search = &self.searches[at];
        let code = match CompiledCode::decode(&file) {
            Ok(code) if code.of.guest == search.wanted.guest => code,
            Ok(_) => return self.refuse(at, from, "it sent code of another guest".into(), now),
            Err(why) => return self.refuse(at, from, why.to_string(), now),
        };
        let is_signed = !code.signatures.is_empty();
        let is_named = self.permissions.compilers.iter().any(|name| name == from);
        let from_compiler = is_named && search.download.as_ref().is_some_and(|download| download.compiled);
        if search.own.is_some()
            && let Err(why) = port.accept(from_compiler, &code)
        {
            return self.refuse(at, from, why, now);
        }
        if !is_signed && search.own.is_none() {
            return self.refuse(at, from, "its code is not signed, so nobody else may run it".into(), now);
        }
        let search = self.searches.swap_remove(at);
        if is_signed {
            self.offer(&search.wanted, (file.into(), true), false, search.waiting, now);
        } else {
            self.tell_nothing(&search);
        }
        if let Some(own) = search.own {
            let compiler = from_compiler.then(|| from.to_string());
            self.actions.push(Action::Ended(own.id, Ok(FoundCode { code, compiler })));
        }
    }

    fn refuse(&mut self, at: usize, from: &str, why: String, now: Instant) {
        self.searches[at].download = None;
        self.searches[at].answer(from, Answer::Nothing(why), now);
    }

    /// The file is not there any more, or a component not yet.
    fn not_found(&mut self, from: &str, digest: Digest, now: Instant) {
        for search in &mut self.searches {
            let is_of = |code: &mut CodeDownload| code.download.from() == from && code.download.digest() == digest;
            if search.download.take_if(is_of).is_some() {
                search.answer(from, Answer::Nothing("it has the code no more".into()), now);
            }
        }
        for download in self.jobs.iter_mut().filter_map(|job| job.download.as_mut()) {
            download.not_found(from, digest, now);
        }
    }

    /// Holds a file for neighbours, and tells those that wait for it.
    fn offer(
        &mut self,
        wanted: &Wanted,
        (file, is_signed): (Arc<[u8]>, bool),
        compiled: bool,
        waiting: BTreeSet<String>,
        now: Instant,
    ) {
        let (digest, bytes) = (Digest::of(&file), file.len() as u64);
        self.held.retain(|held| held.wanted != *wanted || held.compiled != compiled);
        self.held.push_back(Held { wanted: wanted.clone(), digest, file, compiled, is_signed, asked_at: now });
        let is_over = |held: &VecDeque<Held>| held.iter().map(|held| held.file.len()).sum::<usize>() > HELD_BYTES_MAX;
        // The newest stays whatever its size is.
        while self.held.len() > HELD_MAX || (self.held.len() > 1 && is_over(&self.held)) {
            self.held.pop_front();
        }
        for peer in waiting {
            self.send(&peer, &Message::Offer { wanted: wanted.clone(), compile: compiled, digest, bytes, compiled });
        }
    }

    /// Tells those who wait for a search that it has ended without code.
    fn failed(&mut self, search: Search) {
        let reasons = search.reasons();
        self.tell_nothing(&search);
        if let Some(own) = search.own {
            self.actions.push(Action::Ended(own.id, Err(reasons)));
        }
    }

    fn tell_nothing(&mut self, search: &Search) {
        for peer in &search.waiting {
            self.send(peer, &Message::nothing(&search.wanted, false, HAS_NONE));
        }
    }

    fn relayed(&self, wanted: &Wanted) -> Option<usize> {
        self.searches.iter().position(|search| search.own.is_none() && search.wanted == *wanted)
    }

    fn send(&mut self, to: &str, message: &Message) {
        self.actions.push(Action::Send(to.into(), message.encode()));
    }
}

/// Nodes that a question passes: more than any path in a herd of fifty.
const HOPS_MAX: u8 = 16;
/// Searches of this node at once. A node loads one guest at a time; several nodes may be in a process.
const SEARCHES_MAX: usize = 4;
/// Searches for peers at once. They ask again.
const RELAYS_MAX: usize = 2;
/// Longest file that is passed on: that of any guest in Rust, many times. One of a guest in Python is brought to each node.
const RELAY_BYTES_MAX: usize = 16 << 20;
/// Compilations for others at once, of which the host runs one after the other: the targets of a fleet.
const JOBS_MAX: usize = 4;
/// Files in memory: the targets of a fleet.
const HELD_MAX: usize = 8;
const HELD_BYTES_MAX: usize = 64 << 20;
/// For how long a file is in memory that this node did not make and nobody asks for: longer than the pauses of a download.
const HELD_UNASKED_MAX: Duration = Duration::from_secs(60);
/// For how long the reason of a failed compilation is remembered, so that an answer that was lost does not begin it anew.
const FAILED_KEPT: Duration = Duration::from_secs(10);
/// For how long a component is waited for without a question.
const UNASKED_MAX: Duration = Duration::from_secs(10);
/// Answer of a node without code.
const HAS_NONE: &str = "it has no code for this target";
