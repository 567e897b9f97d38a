//! Guests that decide the calls of a log: those that decided at the time, one from a file, or the default logic natively.
//!
//! Knows nothing of what differs. Bounds: a guest is loaded once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use herd_model::{Digest, GenerationId};
use herd_recording::{LogContext, LoggedFault, LoggedGuest, LoggedMemory, RecordedCall};
use herd_runtime::{Engine, Fault, Limits, ReplayedGuest, ReplayedGuests, Replayer};
use herd_sdk::Decision;

use super::native::{NativeGuest, NativeReplayer};
use crate::guest_file::read_guest;

/// Guest that decides.
#[derive(Clone)]
pub(crate) enum With {
    /// The one that decided at the time.
    Recorded,
    /// One from a file.
    File(PathBuf),
    /// The default logic, linked natively.
    Native,
}

/// Guests of a log, loaded when the log first names them.
pub(crate) struct Guests {
    /// Limits of this machine.
    limits: Limits,
    /// Engine with the limits of the current part of the log.
    engine: Option<(Limits, Arc<Engine>)>,
    /// Guests of the current settings. None before the first part of the log.
    loading: Option<ReplayedGuests>,
    with: With,
    context: Option<LogContext>,
    loaded: HashMap<Digest, LoadedGuest>,
    /// Guest of each generation in the current part of the log.
    generations: HashMap<GenerationId, (Arc<LoggedGuest>, Option<LoadedGuest>)>,
    /// The one that decides everything, unless each decides its own.
    replacing: Option<LoadedGuest>,
    /// Component of a guest for which the log may have had no room.
    given: Option<(Digest, Vec<u8>)>,
    /// Advice where the log had no room for a guest.
    advice: &'static str,
}

/// A guest that decides.
#[derive(Clone)]
pub(crate) enum LoadedGuest {
    /// A component.
    Component(ReplayedGuest),
    /// The default logic.
    Native(NativeGuest),
}

/// Decides calls on one thread.
pub(crate) enum ThreadReplayer {
    Component(Box<Replayer>),
    Native(NativeReplayer),
}

impl Guests {
    pub(crate) fn new(limits: Limits, with: With) -> Self {
        Self {
            limits,
            engine: None,
            loading: None,
            with,
            context: None,
            loaded: HashMap::new(),
            generations: HashMap::new(),
            replacing: None,
            given: None,
            advice: "name its file with --guest",
        }
    }

    /// Starts again with the guests that decided at the time. The one that decided everything is taken for one of them that the log
    /// had no room for, if it is that one.
    ///
    /// # Errors
    ///
    /// The file of the guest cannot be read.
    pub(super) fn recorded(other: &Self) -> anyhow::Result<Self> {
        let given = match &other.with {
            With::File(file) => Some(read_guest(file)?),
            With::Recorded | With::Native => None,
        };
        let given = given.map(|component| (Digest::of(&component), component));
        let advice = "a transcript expects what this guest decides, so write them with its file as --guest";
        Ok(Self { engine: other.engine.clone(), given, advice, ..Self::new(other.limits, With::Recorded) })
    }

    /// Goes on with a part of the log. Loads the guest that decides everything.
    pub(crate) fn enter(&mut self, context: LogContext) -> anyhow::Result<()> {
        let (settings, limits) = (context.settings(), limits(self.limits, context.memory));
        let is_known = self.context.as_ref().is_some_and(|known| known.settings() == settings)
            && self.engine.as_ref().is_some_and(|(known, _)| *known == limits);
        if !is_known {
            self.loaded.clear();
            let engine = match self.engine.take() {
                Some((known, engine)) if known == limits => engine,
                _ => Engine::new(limits)?,
            };
            let loading = ReplayedGuests::new(&engine);
            self.engine = Some((limits, engine));
            self.replacing = match &self.with {
                With::Recorded => None,
                With::File(file) => {
                    let loaded = loading.load(&read_guest(file)?, settings);
                    Some(LoadedGuest::Component(loaded.with_context(|| file.display().to_string())?))
                }
                With::Native => Some(LoadedGuest::Native(NativeGuest::new(settings)?)),
            };
            self.loading = Some(loading);
        }
        self.generations.clear();
        self.context = Some(context);
        Ok(())
    }

    /// Adds a guest that decided at the time. Loaded also where another one decides now: it converts records that it wrote.
    pub(crate) fn add(&mut self, generation: GenerationId, guest: LoggedGuest) -> anyhow::Result<()> {
        let (Some(context), Some(loading)) = (&self.context, &self.loading) else {
            bail!("the log names a guest before its node");
        };
        let digest = guest.digest;
        let given = self.given.as_ref().filter(|(known, _)| *known == digest).map(|(_, component)| &**component);
        if let Some(component) = guest.component.as_deref().or(given)
            && !self.loaded.contains_key(&digest)
        {
            match loading.load(component, context.settings()) {
                Ok(loaded) => drop(self.loaded.insert(digest, LoadedGuest::Component(loaded))),
                Err(error) if self.replacing.is_some() => {
                    tracing::warn!(%digest, %error, "a guest of the log does not load");
                }
                Err(error) => return Err(error).context(format!("the guest {digest} of the log")),
            }
        }
        let loaded = self.loaded.get(&digest).cloned();
        self.generations.insert(generation, (Arc::new(guest), loaded));
        Ok(())
    }

    /// Returns the guest that decides the calls of a generation.
    pub(crate) fn of(&self, generation: GenerationId) -> anyhow::Result<LoadedGuest> {
        if let Some(replacing) = &self.replacing {
            return Ok(replacing.clone());
        }
        match self.generations.get(&generation) {
            Some((_, Some(loaded))) => Ok(loaded.clone()),
            Some((guest, None)) => {
                let LoggedGuest { name, version, digest, .. } = &**guest;
                bail!("the log has no room for the guest {name} {version}, SHA-256 {digest}; {}", self.advice);
            }
            None => bail!("the log names no guest for generation {generation}"),
        }
    }

    /// Returns the guest that decides the calls of each generation of the current part of the log.
    pub(super) fn deciding(&self) -> anyhow::Result<Vec<(u64, LoadedGuest)>> {
        self.generations.keys().map(|generation| Ok((generation.0, self.of(*generation)?))).collect()
    }

    /// Returns the guest of a generation as the log describes it.
    pub(crate) fn logged(&self, generation: GenerationId) -> Option<&Arc<LoggedGuest>> {
        self.generations.get(&generation).map(|(guest, _)| guest)
    }

    /// Returns what holds for the current part of the log.
    pub(crate) fn context(&self) -> Option<&LogContext> {
        self.context.as_ref()
    }
}

impl LoadedGuest {
    /// Returns a replayer for one thread.
    pub(crate) fn replayer(&self) -> ThreadReplayer {
        match self {
            Self::Component(guest) => ThreadReplayer::Component(Box::new(guest.replayer())),
            Self::Native(guest) => ThreadReplayer::Native(guest.replayer()),
        }
    }

    /// Returns name, version and digest for people.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Component(guest) => {
                let (name, version, digest) = guest.description();
                format!("{name} {version}, SHA-256 {digest}")
            }
            Self::Native(_) => "the default logic of this program, natively".into(),
        }
    }

    /// Returns true for the same guest with the same settings: a log that goes on after a restart may have others.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Component(one), Self::Component(other)) => one.is(other),
            (Self::Native(one), Self::Native(other)) => one.is(other),
            _ => false,
        }
    }
}

impl ThreadReplayer {
    /// Repeats a call.
    ///
    /// # Errors
    ///
    /// The guest faults, or the machine has no room for it, which the outer error says.
    pub(crate) fn repeat(&mut self, recorded: &RecordedCall) -> anyhow::Result<Result<Decision, LoggedFault>> {
        match self {
            Self::Component(replayer) => match replayer.repeat(recorded) {
                Ok(decision) => Ok(Ok(decision)),
                Err(fault @ Fault::NoInstance(_)) => Err(fault.into()),
                Err(fault) => Ok(Err(logged(&fault))),
            },
            Self::Native(replayer) => Ok(Ok(replayer.repeat(recorded))),
        }
    }

    /// Number of look-ups of keys that the recorded calls had not looked up.
    pub(crate) fn missing_reads(&self) -> u64 {
        match self {
            Self::Component(replayer) => replayer.missing_reads(),
            Self::Native(replayer) => replayer.missing_reads(),
        }
    }
}

/// Returns the limits under which the calls of a log are repeated: its memory, on which faults depend, and far more time than a call took.
fn limits(here: Limits, logged: Option<LoggedMemory>) -> Limits {
    let bytes_max = logged.map_or(here.memory_bytes_max, |memory| memory.bytes_max.min(MEMORY_BYTES_HIGHEST));
    let bytes_ceiling = logged.map_or(0, |memory| memory.bytes_ceiling.min(MEMORY_BYTES_HIGHEST));
    Limits {
        // Another guest may need more than the log granted.
        memory_bytes_ceiling: here.memory_bytes_ceiling.max(bytes_ceiling),
        memory_bytes_max: bytes_max,
        deadline: here.deadline * SLOWER_MAX,
        deadline_ceiling: here.deadline_ceiling * SLOWER_MAX,
        ..here
    }
}

/// Writes a fault as a log does.
pub(crate) fn logged(fault: &Fault) -> LoggedFault {
    LoggedFault { kind: fault.kind().into(), text: fault.to_string() }
}

/// Factor by which this machine may be slower than that of the node, or busier.
const SLOWER_MAX: u32 = 10;
/// Highest memory that a configuration allows an instance. A log may say anything.
const MEMORY_BYTES_HIGHEST: usize = 4096 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replay_has_the_memory_of_the_log_and_more_time() {
        let here = Limits::default();
        let logged = LoggedMemory { bytes_max: 64 << 20, bytes_ceiling: 32 << 20 };
        let replayed = limits(here, Some(logged));
        assert_eq!((replayed.memory_bytes_max, replayed.memory_bytes_ceiling), (64 << 20, here.memory_bytes_ceiling));
        let times = (here.deadline * SLOWER_MAX, here.deadline_ceiling * SLOWER_MAX);
        assert_eq!((replayed.deadline, replayed.deadline_ceiling), times);
        assert_eq!(limits(here, None).memory_bytes_max, here.memory_bytes_max);
        let lie = LoggedMemory { bytes_max: usize::MAX, bytes_ceiling: usize::MAX };
        assert_eq!(limits(here, Some(lie)).memory_bytes_max, MEMORY_BYTES_HIGHEST);
    }
}
