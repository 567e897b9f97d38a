//! Logging: to standard error, coloured on a terminal unless `NO_COLOR` is set.
use anyhow::{Context, bail};
use herd_node::config::suggestion;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use super::colour::is_coloured;

/// Starts logging for the rest of the process.
///
/// # Errors
///
/// The filter is invalid.
pub(super) fn start(filter: &str, json: bool) -> anyhow::Result<()> {
    let filter = parse(filter)?;
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(is_coloured(&std::io::stderr()));
    if json {
        builder.json().init();
    } else {
        builder.init();
    }
    Ok(())
}

/// Parses a filter. A single word must be a level: the library takes any other word for the name of a part, and would log that
/// part and nothing else, so a level with a typing error would turn logging off without a word.
fn parse(filter: &str) -> anyhow::Result<EnvFilter> {
    // Scripts unset a variable by making it empty.
    let filter = if filter.trim().is_empty() { DEFAULT } else { filter };
    let directives: Vec<&str> = filter.split(',').map(str::trim).collect();
    for &directive in &directives {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
        let is_span = directive.contains('[');
        if !is_span && !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            bail!(
                "log filter `{filter}` of --log or HERD_LOG: `{level}` is not a level{}; write a level, or PART=LEVEL, such as info,guest=debug",
                suggestion(level, LEVELS)
            );
        }
    }
    EnvFilter::try_new(directives.join(","))
        .with_context(|| format!("log filter `{filter}` of --log or HERD_LOG is invalid; try {DEFAULT}"))
}

/// Filter in place of an empty one.
const DEFAULT: &str = "info";

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_filter_with_a_word_that_is_no_level_is_refused() {
        let problem = |filter: &str| parse(filter).unwrap_err().to_string();
        assert_eq!(
            problem("chatty"),
            "log filter `chatty` of --log or HERD_LOG: `chatty` is not a level; known are error, warn, info, debug, trace, off; write a level, or PART=LEVEL, such as info,guest=debug"
        );
        assert!(problem("inof").contains("`inof` is not a level; did you mean `info`?"));
        for filter in ["info,guest", "guest=loud", "guest=", "info,", "info;debug"] {
            assert!(problem(filter).contains(" is not a level"), "{filter}");
        }
        for filter in ["info", "WARN", "off", "info,guest=debug", "info, herd_peers=trace", "info,[swap]=debug", ""] {
            assert!(parse(filter).is_ok(), "{filter}");
        }
        assert_eq!(parse("").unwrap().to_string(), "info");
    }
}
