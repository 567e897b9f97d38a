//! The trait that a guest implements, and what configures it.
//!
//! Owns the author's side of the contract in plain Rust. It must not know how calls are encoded or who makes them. Each
//! method is one call: the host bounds its time, its memory and its effects.

use std::fmt;

use crate::context::Context;
use crate::event::{Input, Outcome, Progress, Reports};

/// Protocol logic: decides how a node handles the input of its clients and the reports of its peers.
///
/// A value holds only what [`configure`](Logic::configure) derived from the settings. The host may drop an instance
/// between any two calls, so a call must not depend on state from an earlier one. State belongs in records.
///
/// ```
/// use herd_sdk::{BadSetting, Context, Description, Input, Logic, Progress, Settings};
///
/// /// `SET <key> <value>` stores a value, `GET <key>` returns it.
/// struct KeyValue;
///
/// impl Logic for KeyValue {
///     fn describe() -> Description {
///         Description { name: "key-value".into(), version: "1".into(), commands: vec!["SET".into(), "GET".into()] }
///     }
///
///     fn configure(_: &Settings) -> Result<Self, BadSetting> {
///         Ok(Self)
///     }
///
///     fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
///         input.lines(|line| match line.split(|&byte| byte == b' ').collect::<Vec<_>>()[..] {
///             [b"SET", key, value] => {
///                 // Last writer wins: the rank is the time of the call.
///                 let rank = context.now_ns().to_be_bytes();
///                 let keep = context.keep(key, &rank, 1, |out| out.extend_from_slice(value));
///                 context.reply_if_kept(keep, |out| out.extend(b"OK\n"), |out| out.extend(b"NOT STORED\n"));
///             }
///             [b"GET", key] => {
///                 let found = context.record(key).unwrap_or_default();
///                 context.reply_with(|out| {
///                     out.extend_from_slice(&found.bytes);
///                     out.push(b'\n');
///                 });
///             }
///             _ => context.reply(b"?\n"),
///         })
///     }
/// }
/// ```
pub trait Logic: Sized {
    /// Returns the guest's name, version and command words.
    fn describe() -> Description;

    /// Creates the logic from its settings.
    ///
    /// # Errors
    ///
    /// The first setting that is unknown or has an unusable value. The node does not start, or refuses the swap, and
    /// shows this error.
    fn configure(settings: &Settings) -> Result<Self, BadSetting>;

    /// Decides the input of one session. The sdk calls this once for each session of a batch.
    fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress;

    /// Decides a batch of reports from a peer. Reports that are not refused are kept. The default refuses none.
    fn reports(&self, _reports: Reports<'_>, _turn: &mut Context<'_>) {}

    /// Decides the answer to a fetch. `token` and `otherwise` are those of the fetch. The default replies `otherwise`.
    fn answer(&self, _token: &[u8], otherwise: &[u8], _outcome: Outcome<'_>, context: &mut Context<'_>) {
        context.reply(otherwise);
    }
}

/// Name, version and commands of a guest, for people and dashboards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Short name, such as `default`.
    pub name: String,
    /// Free text, such as `1.2.0`.
    pub version: String,
    /// Command words that the guest handles.
    pub commands: Vec<String>,
}

/// Configuration of an instance, passed once before its first call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Name of the node.
    pub node: String,
    /// Pairs of name and value, sorted by name, each name once.
    pub table: Vec<(String, String)>,
}

impl Settings {
    /// Returns the value of a setting.
    ///
    /// ```
    /// let settings = herd_sdk::Settings { node: "Riley".into(), table: vec![("radius".into(), "5".into())] };
    /// assert_eq!(settings.value("radius"), Some("5"));
    /// assert_eq!(settings.value("bound"), None);
    /// ```
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.table.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Error for a setting that is unknown or has an unusable value. The fault is the operator's or the guest author's;
/// nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting {
    /// Name of the setting.
    pub name: String,
    /// The problem and an accepted value, in lower case, without a full stop.
    pub problem: String,
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting `{}`: {}", self.name, self.problem)
    }
}

impl std::error::Error for BadSetting {}
