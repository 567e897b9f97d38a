//! Guests that decide the calls of a log: those that decided at the time, one from a file, or the default logic natively.
//!
//! Knows nothing of what differs. Bounds: a guest is loaded once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use herd_model::{Digest, GenerationId};
use herd_recording::{LogContext, LoggedFault, LoggedGuest, RecordedCall};
use herd_runtime::{Engine, Fault, ReplayedGuest, ReplayedGuests, Replayer};
use herd_sdk::Decision;

use super::native::{NativeGuest, NativeReplayer};
use crate::cli::guest_file::read_guest;

/// Guest that decides.
#[derive(Clone)]
pub(in crate::cli) enum With {
    /// The one that decided at the time.
    Recorded,
    /// One from a file.
    File(PathBuf),
    /// The default logic, linked natively.
    Native,
}

/// Guests of a log, loaded when the log first names them.
pub(in crate::cli) struct Guests {
    loading: Arc<ReplayedGuests>,
    with: With,
    context: Option<LogContext>,
    loaded: HashMap<Digest, LoadedGuest>,
    /// Guest of each generation in the current part of the log.
    generations: HashMap<GenerationId, (Arc<LoggedGuest>, Option<LoadedGuest>)>,
    /// The one that decides everything, unless each decides its own.
    replacing: Option<LoadedGuest>,
}

/// A guest that decides.
#[derive(Clone)]
pub(in crate::cli) enum LoadedGuest {
    /// A component.
    Component(ReplayedGuest),
    /// The default logic.
    Native(NativeGuest),
}

/// Decides calls on one thread.
pub(in crate::cli) enum ThreadReplayer {
    Component(Box<Replayer>),
    Native(NativeReplayer),
}

impl Guests {
    pub(in crate::cli) fn new(engine: &Arc<Engine>, with: With) -> Self {
        let loading = Arc::new(ReplayedGuests::new(engine));
        let (loaded, generations) = Default::default();
        Self { loading, with, context: None, loaded, generations, replacing: None }
    }

    /// Starts again with the guests that decided at the time.
    pub(super) fn recorded(other: &Self) -> Self {
        let (loaded, generations) = Default::default();
        let loading = Arc::clone(&other.loading);
        Self { loading, with: With::Recorded, context: None, loaded, generations, replacing: None }
    }

    /// Goes on with a part of the log. Loads the guest that decides everything.
    pub(in crate::cli) fn enter(&mut self, context: LogContext) -> anyhow::Result<()> {
        let settings = context.settings();
        let is_known = self.context.as_ref().is_some_and(|known| known.settings() == settings);
        if !is_known {
            self.loaded.clear();
            self.replacing = match &self.with {
                With::Recorded => None,
                With::File(file) => {
                    let loaded = self.loading.load(&read_guest(file)?, settings);
                    Some(LoadedGuest::Component(loaded.with_context(|| file.display().to_string())?))
                }
                With::Native => Some(LoadedGuest::Native(NativeGuest::new(settings)?)),
            };
        }
        self.generations.clear();
        self.context = Some(context);
        Ok(())
    }

    /// Adds a guest that decided at the time. Loaded also where another one decides now: it converts records that it wrote.
    pub(in crate::cli) fn add(&mut self, generation: GenerationId, guest: LoggedGuest) -> anyhow::Result<()> {
        let context = self.context.as_ref().context("the log names a guest before its node")?;
        let digest = guest.digest;
        if let Some(component) = &guest.component
            && !self.loaded.contains_key(&digest)
        {
            match self.loading.load(component, context.settings()) {
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
    pub(in crate::cli) fn of(&self, generation: GenerationId) -> anyhow::Result<LoadedGuest> {
        if let Some(replacing) = &self.replacing {
            return Ok(replacing.clone());
        }
        match self.generations.get(&generation) {
            Some((_, Some(loaded))) => Ok(loaded.clone()),
            Some((guest, None)) => {
                let LoggedGuest { name, version, digest, .. } = &**guest;
                bail!(
                    "the log has no room for the guest {name} {version}, SHA-256 {digest}; name its file with --guest"
                );
            }
            None => bail!("the log names no guest for generation {generation}"),
        }
    }

    /// Returns the guest that decides the calls of each generation of the current part of the log.
    pub(super) fn deciding(&self) -> anyhow::Result<Vec<(u64, LoadedGuest)>> {
        self.generations.keys().map(|generation| Ok((generation.0, self.of(*generation)?))).collect()
    }

    /// Returns the guest of a generation as the log describes it.
    pub(in crate::cli) fn logged(&self, generation: GenerationId) -> Option<&Arc<LoggedGuest>> {
        self.generations.get(&generation).map(|(guest, _)| guest)
    }

    /// Returns what holds for the current part of the log.
    pub(in crate::cli) fn context(&self) -> Option<&LogContext> {
        self.context.as_ref()
    }
}

impl LoadedGuest {
    /// Returns a replayer for one thread.
    pub(in crate::cli) fn replayer(&self) -> ThreadReplayer {
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

    /// Returns true for the same guest.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Component(one), Self::Component(other)) => one.description().2 == other.description().2,
            (Self::Native(_), Self::Native(_)) => true,
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
    pub(in crate::cli) fn repeat(&mut self, recorded: &RecordedCall) -> anyhow::Result<Result<Decision, LoggedFault>> {
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
    pub(in crate::cli) fn missing_reads(&self) -> u64 {
        match self {
            Self::Component(replayer) => replayer.missing_reads(),
            Self::Native(replayer) => replayer.missing_reads(),
        }
    }
}

/// Writes a fault as a log does.
pub(in crate::cli) fn logged(fault: &Fault) -> LoggedFault {
    LoggedFault { kind: fault.kind().into(), text: fault.to_string() }
}
