//! Text of a log filter: a level, or parts with levels.
//!
//! Finds what the library takes without a word and nobody means: it takes any word for the name of a part, and would log that part and
//! nothing else. Bounds: the length of a filter.

use herd_config::{nearest, suggestion};
use tracing_subscriber::filter::Targets;

/// Filter that is none. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    /// A level has another name than those that exist.
    #[error(
        "log filter `{filter}`: `{level}` is not a level{known}; write a level, or PART=LEVEL, such as info,guest=debug"
    )]
    NoLevel {
        /// The whole filter.
        filter: String,
        /// Word in the place of a level.
        level: String,
        /// Nearest level, or all of them.
        known: String,
    },
    /// A part has nearly the name of one of this program.
    #[error("log filter `{filter}`: `{part}` is no part of this program; did you mean `{meant}`?")]
    NoPart {
        /// The whole filter.
        filter: String,
        /// Word in the place of a part.
        part: String,
        /// Nearest part.
        meant: &'static str,
    },
    /// The library refuses it.
    #[error("log filter `{filter}`: {why}; try {DEFAULT}")]
    Malformed {
        /// The whole filter.
        filter: String,
        /// Reason that the library gives.
        why: String,
    },
    /// It is longer than anybody types.
    #[error("a log filter has at most {FILTER_BYTES_MAX} bytes")]
    TooLong,
    /// The process is about to end.
    #[error("the process is ending")]
    Ended,
}

/// Parses a filter, and returns it as it is shown.
///
/// # Errors
///
/// See [`FilterError`].
pub(super) fn parse(filter: &str) -> Result<(String, Targets), FilterError> {
    if filter.len() > FILTER_BYTES_MAX {
        return Err(FilterError::TooLong);
    }
    // Scripts unset a variable by making it empty.
    let filter = if filter.trim().is_empty() { DEFAULT } else { filter };
    let directives: Vec<&str> = filter.split(',').map(str::trim).collect();
    for &directive in &directives {
        // Filters by span need regular expressions, whose tables are a large part of the size of this program.
        if directive.contains('[') {
            let why = "it selects parts, and no spans in brackets".into();
            return Err(FilterError::Malformed { filter: filter.into(), why });
        }
        let (part, level) = directive.rsplit_once('=').map_or((None, directive), |(part, level)| (Some(part), level));
        if !is_level(level) {
            let known = suggestion(level, LEVELS);
            return Err(FilterError::NoLevel { filter: filter.into(), level: level.into(), known });
        }
        if let Some((part, meant)) = part.and_then(|part| Some((part, meant_by(part)?))) {
            return Err(FilterError::NoPart { filter: filter.into(), part: part.into(), meant });
        }
    }
    let shown = directives.join(",");
    match shown.parse::<Targets>() {
        Ok(parsed) => Ok((shown, parsed)),
        Err(error) => Err(FilterError::Malformed { filter: filter.into(), why: error.to_string() }),
    }
}

/// Returns whether a word is a level, and so a filter.
pub(super) fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Returns the part of this program that a word in its place was meant to be. `None` if it is one, or the part of some library: those are many,
/// and nobody lists them.
fn meant_by(part: &str) -> Option<&'static str> {
    let outermost = part.split("::").next().unwrap_or(part);
    if PARTS.contains(&outermost) {
        return None;
    }
    let without_prefix = PARTS.into_iter().find(|known| known.strip_prefix("herd_") == Some(outermost));
    without_prefix.or_else(|| nearest(outermost, PARTS))
}

/// Filter in place of an empty one.
const DEFAULT: &str = "info";
/// Bytes of a filter: a level for each part, with room.
const FILTER_BYTES_MAX: usize = 1 << 10;

pub(super) const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Parts that log: the crates of the host, and what guests say.
const PARTS: [&str; 18] = [
    "guest",
    "herd",
    "herd_admin",
    "herd_audit",
    "herd_client",
    "herd_identity",
    "herd_load",
    "herd_node",
    "herd_otlp",
    "herd_peers",
    "herd_recording",
    "herd_replication",
    "herd_rollout",
    "herd_runtime",
    "herd_sessions",
    "herd_store",
    "herd_sys",
    "herd_upstreams",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(filter: &str) -> String {
        parse(filter).unwrap_err().to_string()
    }

    #[test]
    fn log_filter_with_a_word_that_is_no_level_is_refused() {
        assert_eq!(
            problem("chatty"),
            "log filter `chatty`: `chatty` is not a level; known are error, warn, info, debug, trace, off; write a level, or PART=LEVEL, such as info,guest=debug"
        );
        assert!(problem("inof").contains("`inof` is not a level; did you mean `info`?"));
        for filter in ["info,guest", "guest=loud", "guest=", "info,", "info;debug"] {
            assert!(problem(filter).contains(" is not a level"), "{filter}");
        }
        for filter in ["info", "WARN", "off", "info,guest=debug", "info, herd_peers=trace", ""] {
            assert!(parse(filter).is_ok(), "{filter}");
        }
        assert!(problem("info,[swap]=debug").contains("no spans in brackets"));
        assert_eq!(parse("").unwrap().0, "info");
        assert_eq!(parse(" info ,guest=debug").unwrap().0, "info,guest=debug");
    }

    #[test]
    fn log_filter_with_a_misspelt_part_is_refused() {
        assert_eq!(
            problem("info,herd_peer=debug"),
            "log filter `info,herd_peer=debug`: `herd_peer` is no part of this program; did you mean `herd_peers`?"
        );
        assert!(problem("gest=debug").contains("did you mean `guest`?"));
        assert!(problem("peers=debug").contains("did you mean `herd_peers`?"));
        for filter in ["herd_peers::link_task=debug", "hyper_util=debug", "wasmtime=info"] {
            assert!(parse(filter).is_ok(), "{filter}");
        }
        assert!(problem(&"x".repeat(2000)).contains("at most 1024 bytes"));
    }
}
