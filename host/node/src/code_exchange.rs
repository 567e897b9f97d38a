//! Compiled code for a node that does not compile, and for its neighbours.
//!
//! Drives the [`Exchange`] on a thread of its own, because files are read and code is hashed, and links must not wait for that. Compiles for
//! neighbours on another, one guest after the other, where the configuration says so.
//!
//! Code for neighbours is compiled for any member that asks, also of guests that this node would not take.
//!
//! Knows nothing of swaps: it turns a guest into code that the engine holds. Bounds: [`EVENTS_MAX`] messages that wait, above which they are
//! dropped, since whoever waits asks again; compilations as the exchange bounds them; [`SEARCH_MAX`] for a search.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use herd_code::{
    Action, CodeNotAccepted, CompiledCode, Exchange, ExchangePort, FoundCode, Incoming, Permissions, SearchId, Wanted,
};
use herd_config::HerdConfig;
use herd_model::{Digest, GuestFiles};
use herd_peers::Peers;
use herd_runtime::{
    CodeOrigin, CodeSource, CodeTarget, CodeTrust, CompiledGuest, Engine, GenerationRegistry, LoadError, Stage,
};
use herd_signing::SignaturePolicy;
use herd_sys::clock::unix_now;
use herd_sys::file_bytes_max;

use crate::code_store::CodeStore;

/// Code of guests for one node and its neighbours.
pub(crate) struct CodeExchange {
    judge: Judge,
    engine: Arc<Engine>,
    /// Nobody else holds it for long, so the thread ends with this value.
    events: Arc<SyncSender<Event>>,
}

/// Event for the thread of the exchange.
enum Event {
    Received(String, Incoming),
    Search(Wanted, Arc<[u8]>, Sender<Result<FoundCode, String>>),
    Compiled(Wanted, Result<CompiledCode, String>),
}

/// Judge of compiled code: keys, target and engine of a node, and the signed code on its disk.
#[derive(Clone)]
pub(crate) struct Judge {
    pub(crate) node: String,
    pub(crate) store: CodeStore,
    pub(crate) policy: SignaturePolicy,
    /// Target of this node, as it asks for code.
    pub(crate) target: CodeTarget,
    /// Version and settings of its engine.
    pub(crate) compiler: String,
    /// It compiles guests by itself.
    pub(crate) compiles: bool,
}

impl Judge {
    /// Returns the judge of a node that is configured so and accepts these guests.
    pub(crate) fn of(config: &HerdConfig, node: &str, engine: &Engine, policy: &SignaturePolicy, state: &Path) -> Self {
        Self {
            node: node.into(),
            store: CodeStore::new(state, node),
            policy: policy.clone(),
            target: engine.code_target().clone(),
            compiler: engine.compiler(),
            compiles: config.runtime.compile && engine.compiles(),
        }
    }

    /// Has the engine hold the code of a guest that this node does not compile: from its cache, or signed code from its disk. `None` if the
    /// node compiles it.
    ///
    /// # Errors
    ///
    /// The node has no code of it.
    pub(crate) fn hold(&self, engine: &Engine, guest: &[u8]) -> Result<Option<CompiledGuest>, NoCodeHere> {
        if self.compiles {
            return Ok(None);
        }
        let signed = || {
            let code = self.own(Digest::of(guest))?;
            let origin = self.signers(&code).ok()?;
            let held = engine.keep_code(guest, &code.code, origin);
            held.inspect_err(|error| tracing::warn!(node = %self.node, %error, "signed code of a guest is not used"))
                .ok()
        };
        engine.find_compiled(guest).or_else(signed).map(Some).ok_or(NoCodeHere)
    }

    /// Error of a guest without code. `why` is what other nodes said.
    fn without_code(&self, guest: Digest, why: &str) -> LoadError {
        let asked =
            if why.is_empty() { "no linked node is named in `swap.compilers`".into() } else { format!("asked {why}") };
        let target = self.target.rounded();
        // Whoever brought a bundle of another version would be told to bring one.
        let unfit = self.store.unfit(&self.wanted(guest));
        let mut unfit: Vec<String> = unfit.iter().map(|of| format!("for {} by {}", of.target, of.compiler)).collect();
        unfit.sort();
        let unfit = match &*unfit {
            [] => String::new(),
            brought => {
                let brought = brought.join(", and ");
                format!("; the code that was brought to it is {brought}, and it runs that by {}", self.compiler)
            }
        };
        let reason = format!(
            "this node does not compile guests, and got no code for {target}: {asked}{unfit}; name a node that is linked to it in `swap.compilers`, or \
             swap to a signed bundle of herd compile GUEST --target {target}"
        );
        LoadError { stage: Stage::Compiled, reason }
    }

    /// Returns whose code this node runs, by its configuration: none but its own if it compiles.
    pub(crate) fn trust(config: &HerdConfig, engine: &Engine) -> CodeTrust {
        if config.runtime.compile && engine.compiles() {
            return CodeTrust::default();
        }
        CodeTrust { compilers: config.swap.compilers.clone(), requirement: config.swap.signatures() }
    }

    /// Returns the origin of code that keys of this node have signed.
    ///
    /// # Errors
    ///
    /// They have not.
    fn signers(&self, code: &CompiledCode) -> Result<CodeOrigin, CodeNotAccepted> {
        code.accepted_by(&self.policy, unix_now()).map(|provenance| CodeOrigin::of(&provenance))
    }

    /// Error of a guest of the configuration without code.
    pub(crate) fn without_brought_code(&self) -> LoadError {
        let target = self.target.rounded();
        let reason = format!(
            "this build has no compiler, and a node starts before there are links to one: `guest` in the configuration has to name a bundle whose \
             code the keys of `swap.require_signature` signed, which herd compile GUEST --target {target} and herd sign make elsewhere; without \
             `guest` the node starts with the guest of its program"
        );
        LoadError { stage: Stage::Compiled, reason }
    }

    /// Finds code of a guest on the disk of this node that its keys have signed.
    fn own(&self, guest: Digest) -> Option<CompiledCode> {
        self.store.find(&self.wanted(guest), |code| code.accepted_by(&self.policy, unix_now()).is_ok())
    }

    fn wanted(&self, guest: Digest) -> Wanted {
        Wanted { guest, target: self.target.to_string(), compiler: self.compiler.clone() }
    }
}

/// A node that does not compile has no code of a guest on its disk. Others may have it.
#[derive(Debug)]
pub(crate) struct NoCodeHere;

/// The node, as its exchange sees it.
struct Port {
    judge: Judge,
    generations: Arc<GenerationRegistry>,
}

impl ExchangePort for Port {
    fn code(&self, wanted: &Wanted) -> Option<Arc<[u8]>> {
        // With keys of its own, a node passes on only what they signed.
        let is_accepted = |code: &CompiledCode| code.accepted_by(&self.judge.policy, unix_now()).is_ok();
        let judges = self.judge.policy.requirement.is_some();
        Some(self.judge.store.find(wanted, |code| !judges || is_accepted(code))?.encode().into())
    }

    fn component(&self, guest: Digest) -> Option<Arc<[u8]>> {
        self.generations.component(guest)
    }

    fn accept(&self, from_compiler: bool, code: &CompiledCode) -> Result<(), String> {
        if code.of.compiler != self.judge.compiler {
            return Err(format!("its code is for {}, and this node has {}", code.of.compiler, self.judge.compiler));
        }
        let target: CodeTarget =
            code.of.target.parse().map_err(|why| format!("its code is for {}: {why}", code.of.target))?;
        self.judge.target.check_runs(&target).map_err(|why| format!("its code does not run here: {why}"))?;
        if from_compiler {
            return Ok(());
        }
        code.accepted_by(&self.judge.policy, unix_now()).map(drop).map_err(|why| why.to_string())
    }
}

impl CodeExchange {
    /// Starts the exchange of a node. `compilers` are the nodes that the configuration names.
    pub(crate) fn start(
        judge: Judge,
        compilers: &[String],
        engine: &Arc<Engine>,
        generations: &Arc<GenerationRegistry>,
        peers: &Arc<Peers>,
    ) -> std::io::Result<Arc<Self>> {
        let is_compiler = compilers.contains(&judge.node) && judge.compiles;
        let permissions = Permissions {
            compilers: compilers.iter().filter(|name| **name != judge.node).cloned().collect(),
            takes_signed: judge.policy.requirement.is_some(),
            compiles: is_compiler,
        };
        let (events, received) = sync_channel(EVENTS_MAX);
        let events = Arc::new(events);
        let port = Port { judge: judge.clone(), generations: Arc::clone(generations) };
        let compilations = is_compiler.then(|| compile_thread(&judge, engine, Arc::downgrade(&events))).transpose()?;
        let driver = Driver {
            exchange: Exchange::new(permissions),
            port,
            peers: Arc::downgrade(peers),
            compilations,
            searching: BTreeMap::new(),
        };
        std::thread::Builder::new().name("herd-code".into()).spawn(move || driver.run(&received))?;
        Ok(Arc::new(Self { judge, engine: Arc::clone(engine), events }))
    }

    /// Takes the message of a neighbour. Does not wait.
    pub(crate) fn receive(&self, from: &str, message: &[u8]) -> Result<(), String> {
        let message = Incoming::decode(message).map_err(|why| why.to_string())?;
        if self.events.try_send(Event::Received(from.into(), message)).is_err() {
            tracing::debug!(node = %self.judge.node, peer = from, "queue for messages about code full, message dropped");
        }
        Ok(())
    }

    /// Stores code that an operator brought, if the keys of this node have signed it.
    ///
    /// # Errors
    ///
    /// They have not, or the disk fails. Nothing changed.
    pub(crate) fn store(&self, file: &[u8]) -> Result<CompiledCode, String> {
        let code = CompiledCode::decode(file).map_err(|why| why.to_string())?;
        code.accepted_by(&self.judge.policy, unix_now()).map_err(|why| why.to_string())?;
        self.judge.store.write(&code).map_err(|error| format!("cannot store compiled code: {error}"))?;
        Ok(code)
    }

    fn search(&self, digest: Digest, guest: &[u8]) -> Result<FoundCode, String> {
        let (reply, found) = channel();
        let search = Event::Search(self.judge.wanted(digest), guest.into(), reply);
        self.events.send(search).map_err(|_| STOPPING.to_string())?;
        found.recv_timeout(SEARCH_MAX).map_err(|_| STOPPING.to_string())?
    }
}

impl CodeSource for CodeExchange {
    fn hold(&self, files: GuestFiles<'_>) -> Result<Option<CompiledGuest>, LoadError> {
        if let Ok(held) = self.judge.hold(&self.engine, files.guest) {
            return Ok(held);
        }
        let digest = Digest::of(files.guest);
        let FoundCode { code, compiler } =
            self.search(digest, files.guest).map_err(|why| self.judge.without_code(digest, &why))?;
        let origin = match compiler {
            Some(name) => CodeOrigin::Compiler(name),
            None => self.judge.signers(&code).map_err(|why| self.judge.without_code(digest, &why.to_string()))?,
        };
        tracing::info!(node = %self.judge.node, digest = digest.short(), target = code.of.target, %origin, "took compiled code of a guest");
        self.engine.keep_code(files.guest, &code.code, origin).map(Some)
    }
}

/// State of the thread of an exchange.
struct Driver {
    exchange: Exchange,
    port: Port,
    /// Weak: the peers' host holds the exchange.
    peers: Weak<Peers>,
    compilations: Option<SyncSender<(Wanted, Arc<[u8]>)>>,
    searching: BTreeMap<SearchId, Sender<Result<FoundCode, String>>>,
}

impl Driver {
    /// Ends when the node does.
    fn run(mut self, events: &Receiver<Event>) {
        loop {
            let next = match self.exchange.is_idle() {
                true => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => events.recv_timeout(TICK),
            };
            let event = match next {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let Some(peers) = self.peers.upgrade() else { return };
            self.exchange.limit_files(file_bytes_max(CODE_COPIES));
            // Asked for rather than told, so that nothing is missed.
            self.exchange.linked(peers.linked().into_iter().collect(), Instant::now());
            self.handle(event, Instant::now());
            for action in self.exchange.take_actions() {
                match action {
                    Action::Send(peer, message) => peers.send_code_message(&peer, &Bytes::from(message)),
                    Action::Compile(wanted, component) => self.compile(wanted, component),
                    Action::Ended(id, result) => {
                        if let Some(reply) = self.searching.remove(&id) {
                            // Nobody waits for it any more if the node stops.
                            let _ = reply.send(result);
                        }
                    }
                }
            }
        }
    }

    fn handle(&mut self, event: Option<Event>, now: Instant) {
        match event {
            Some(Event::Received(from, message)) => {
                self.exchange.receive(&from, message, &self.port, now);
            }
            Some(Event::Search(wanted, component, reply)) => {
                let id = self.exchange.search(wanted, component, now);
                self.searching.insert(id, reply);
            }
            Some(Event::Compiled(wanted, result)) => self.exchange.compiled(&wanted, result, now),
            None => self.exchange.tick(now),
        }
    }

    fn compile(&mut self, wanted: Wanted, component: Arc<[u8]>) {
        let Some(compilations) = &self.compilations else { return };
        if let Err(error) = compilations.try_send((wanted, component)) {
            let (TrySendError::Full((wanted, _)) | TrySendError::Disconnected((wanted, _))) = error;
            self.exchange.compiled(&wanted, Err("it has too much to compile".into()), Instant::now());
        }
    }
}

/// Starts the thread that compiles for neighbours.
fn compile_thread(
    judge: &Judge,
    engine: &Arc<Engine>,
    events: Weak<SyncSender<Event>>,
) -> std::io::Result<SyncSender<(Wanted, Arc<[u8]>)>> {
    let (queue, jobs) = sync_channel::<(Wanted, Arc<[u8]>)>(COMPILATIONS_MAX);
    let (node, engine) = (judge.node.clone(), Arc::clone(engine));
    let compile = move || {
        while let Ok((wanted, component)) = jobs.recv() {
            tracing::info!(
                node = %node,
                digest = wanted.guest.short(),
                target = wanted.target,
                "compiling a guest for another node"
            );
            // A compiler that panics on a component must not take the next ones along.
            let compiled = catch_unwind(AssertUnwindSafe(|| compile_for(&engine, &wanted, &component)));
            let result = compiled.unwrap_or_else(|_| Err("its compiler failed on this guest".into()));
            let Some(events) = events.upgrade() else { return };
            if events.send(Event::Compiled(wanted, result)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("herd-code-make".into()).spawn(compile)?;
    Ok(queue)
}

fn compile_for(engine: &Engine, wanted: &Wanted, component: &[u8]) -> Result<CompiledCode, String> {
    if engine.compiler() != wanted.compiler {
        return Err(format!("it has {}, and the node that asks needs {}", engine.compiler(), wanted.compiler));
    }
    let target: CodeTarget = wanted.target.parse().map_err(|why| format!("{}: {why}", wanted.target))?;
    let code = engine.compile_for(component, &target).map_err(|error| error.to_string())?;
    Ok(CompiledCode { of: wanted.clone(), code, signatures: Vec::new() })
}

/// Messages that wait for the thread. A transfer has one under way, of a chunk at most, so a hostile member can have 8 MiB wait.
const EVENTS_MAX: usize = 32;
/// Between two looks at what has waited for too long.
const TICK: Duration = Duration::from_millis(100);
/// Wait for a search. The exchange ends each before that.
const SEARCH_MAX: Duration = Duration::from_secs(240);
const COMPILATIONS_MAX: usize = 8;
/// Copies of a file of code in memory at once: as it came, without its signatures, and as the engine makes it.
const CODE_COPIES: u64 = 4;
const STOPPING: &str = "the node is stopping";
