//! Settings of the default logic, from the `[logic]` table of the configuration.
//!
//! Owns their names, defaults and checks. It must not know where they come from. The host bounds the table.

use herd_sdk::{BadSetting, Settings};

use crate::sources::Source;
use crate::time::ClientTime;

/// Checked settings of the default logic. They do not change while an instance lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HerdSettings {
    /// `tolerance_s`, in nanoseconds: maximum by which a client's time may exceed its receipt and count in full. Must be the
    /// same in the whole herd, or nodes rank equal reports differently. Default 60 s. A higher value lets a client with a
    /// wrong clock suppress later reports for longer.
    pub tolerance_ns: u64,
    /// `close_after_reply`: whether a session ends after its first reply, for old clients that read until the connection
    /// closes. Default false.
    pub close_after_reply: bool,
    /// `places.sources`: sources of places, in the order in which they are queried. The host sets it. Default `embedded`.
    pub sources: Vec<Source>,
    /// `listener`: listener whose sessions the instance decides. The host sets it to `classic` for that of classic links. Default: that of
    /// clients.
    pub listener: Listener,
}

/// Listener on which sessions were accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listener {
    /// Listener for clients, who send commands.
    #[default]
    Clients,
    /// Listener for classic links, on which older programs send `AT` lines.
    Classic,
}

impl HerdSettings {
    /// Parses and checks the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is unknown or has an unusable value.
    pub fn parse(settings: &Settings) -> Result<Self, BadSetting> {
        let mut parsed = Self {
            tolerance_ns: 60_000_000_000,
            close_after_reply: false,
            sources: vec![Source::Embedded],
            listener: Listener::Clients,
        };
        for (name, value) in &settings.table {
            let bad = |problem: String| BadSetting { name: name.clone(), problem };
            match name.as_str() {
                "tolerance_s" => parsed.tolerance_ns = tolerance_ns(value).map_err(bad)?,
                "close_after_reply" => {
                    parsed.close_after_reply =
                        value.parse().map_err(|_| bad(format!("`{value}` is neither true nor false")))?;
                }
                "places.sources" => {
                    parsed.sources = value
                        .split(',')
                        .map(|source| Source::named(source).ok_or_else(|| bad(unknown_source(source))))
                        .collect::<Result<_, _>>()?;
                }
                "listener" => {
                    parsed.listener = match value.as_str() {
                        "classic" => Listener::Classic,
                        _ => return Err(bad(format!("`{value}` is no listener; the host sets `classic`"))),
                    };
                }
                _ => return Err(bad("unknown; the default logic has `tolerance_s` and `close_after_reply`".into())),
            }
        }
        Ok(parsed)
    }
}

fn tolerance_ns(value: &str) -> Result<u64, String> {
    let time = ClientTime::parse(value.as_bytes()).and_then(|time| u64::try_from(time.ns()).ok());
    time.ok_or_else(|| format!("`{value}` is not a number of seconds with at most nine decimals"))
}

fn unknown_source(source: &str) -> String {
    let known = Source::ALL.map(Source::name).join(", ");
    format!("`{source}` is not a source of places; choose from {known}")
}
