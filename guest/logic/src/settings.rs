//! What the operator may set in the `[logic]` table.

use herd_sdk::{BadSetting, Settings};

use crate::sources::Source;
use crate::time::ClientTime;

/// The settings of the default logic, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HerdSettings {
    /// `tolerance_s`, in nanoseconds: how far ahead of its receipt a client's time counts. The same in the
    /// whole herd, or its nodes rank alike reports differently. Default 60 s; raised, a client with a wrong clock holds
    /// its place longer.
    pub tolerance_ns: u64,
    /// `close_after_reply`: end a session after its first reply, for old clients that read until the close.
    /// Default false.
    pub close_after_reply: bool,
    /// `places.sources`: whom to ask for places, in turn.
    pub sources: Vec<Source>,
}

impl HerdSettings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is unknown or has a value that cannot be used.
    pub fn parse(settings: &Settings) -> Result<Self, BadSetting> {
        let mut parsed =
            Self { tolerance_ns: 60_000_000_000, close_after_reply: false, sources: vec![Source::Embedded] };
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
                _ => return Err(bad("the default logic knows `tolerance_s` and `close_after_reply`".into())),
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
    format!("`{source}` is not a source of places; known are {known}")
}
