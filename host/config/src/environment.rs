//! Check of the names of environment variables: one that looks like ours and means nothing is a typing error.
//!
//! Knows names only; values are parsed in `load`. Bound: the variables of the process, and the keys of the configuration, of
//! which the distance to each unknown name is computed.

use herd_upstreams::{PRESETS, SecretSource, UpstreamConfig};
use toml::{Table, Value};

use super::error::ConfigError;
use super::herd_config::HerdConfig;
use super::suggestion::nearest;
use super::swap_config::SignatureConfig;

/// Prefix of variables that set a key. Two underscores separate the parts of a key, because a part may contain one.
pub(super) const KEY_PREFIX: &str = "HERD__";

/// Checks that every variable that starts with `HERD_` is used.
///
/// # Errors
///
/// The first one that is not, with the nearest variable that would be.
pub(super) fn check_variables(environment: &[(String, String)], config: &HerdConfig) -> Result<(), ConfigError> {
    let secrets: Vec<&str> = config.upstreams.0.values().filter_map(secret_variable).collect();
    let is_used = |name: &str| {
        name.starts_with(KEY_PREFIX)
            || VARIABLES.contains(&name)
            || secrets.contains(&name)
            || PREFIXES_OF_BUILDS.iter().any(|prefix| name.starts_with(prefix))
            || is_of_kubernetes(name)
    };
    let unused = |name: &&str| name.starts_with("HERD_") && !is_used(name);
    match environment.iter().map(|(name, _)| name.as_str()).find(unused) {
        Some(name) => {
            Err(ConfigError::general(format!("environment variable {name} is not used{}", advice(name, config))))
        }
        None => Ok(()),
    }
}

fn advice(name: &str, config: &HerdConfig) -> String {
    let known = VARIABLES.iter().map(ToString::to_string).chain(keys(config));
    match nearest(name, known) {
        Some(known) => format!("; did you mean {known}?"),
        None => {
            "; a key of the configuration is set by HERD__TABLE__KEY, such as HERD__SESSIONS__IDLE_S; unset or rename it".into()
        }
    }
}

/// Returns the variables that set the keys of a configuration.
fn keys(config: &HerdConfig) -> Vec<String> {
    let mut all = config.resolved();
    // Keys without a value are not serialized.
    all.state_dir = Some("set".into());
    all.guest = Some("set".into());
    all.traffic_log = Some("set".into());
    all.admin.group = Some("set".into());
    all.swap.require_signature = Some(SignatureConfig::default());
    all.metrics.listen = "127.0.0.1".parse().ok();
    for node in all.nodes.values_mut() {
        (node.host, node.link_dial) = ("localhost".parse().ok(), "localhost:1".parse().ok());
        (node.classic, node.classic_peers) = (Some(node.client), node.link_dial.iter().cloned().collect());
    }
    let set = || Some("set".to_string());
    let upstream = UpstreamConfig {
        url: set(),
        secret: None,
        query: set(),
        header: set(),
        connect_timeout_ms: Some(1),
        timeout_ms: Some(1),
        body_kib_max: Some(1),
        in_flight_max: Some(1),
        ..UpstreamConfig::default()
    };
    for name in PRESETS {
        all.upstreams.0.insert(name.into(), upstream.clone());
    }
    for setting in ["tolerance_s", "close_after_reply"] {
        all.logic.insert(setting.into(), Value::Boolean(true));
    }
    let mut variables = Vec::new();
    if let Ok(table) = Table::try_from(&all) {
        flatten(&mut variables, KEY_PREFIX, &table);
    }
    variables
}

fn flatten(variables: &mut Vec<String>, prefix: &str, table: &Table) {
    for (name, value) in table {
        let variable = format!("{prefix}{}", name.to_uppercase());
        match value {
            Value::Table(inner) => flatten(variables, &format!("{variable}__"), inner),
            _ => variables.push(variable),
        }
    }
}

fn secret_variable(upstream: &UpstreamConfig) -> Option<&str> {
    match &upstream.secret {
        Some(SecretSource::Env(name)) => Some(name),
        _ => None,
    }
}

/// Returns whether Kubernetes sets a variable of this name for a service whose name begins with `herd`.
fn is_of_kubernetes(name: &str) -> bool {
    let words: Vec<&str> = name.split('_').collect();
    let is_port = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || words.windows(3).any(|three| three[0] == "PORT" && is_port(three[1]) && matches!(three[2], "TCP" | "UDP"))
}

/// Variables of the command line, of tests, of the presets of upstreams, and of a process for its successor.
const VARIABLES: [&str; 7] =
    ["HERD_BINARY", "HERD_CONFIG", "HERD_CONTEXT", "HERD_GOOGLE_KEY", "HERD_IDENTITY", "HERD_LOG", "HERD_SUCCESSION"];

/// Prefixes of variables that build scripts set, which `cargo run` and `cargo test` pass on to the program.
const PREFIXES_OF_BUILDS: [&str; 3] = ["HERD_BUILD_", "HERD_DEFAULT_GUEST", "HERD_TEST"];

#[cfg(test)]
mod tests {
    use crate::{Sources, load};

    fn problem(name: &str, set: &[&str]) -> Option<String> {
        let environment = vec![(name.into(), "5".into())];
        let set = set.iter().map(ToString::to_string).collect();
        load(&Sources { file: None, environment, set }).err().map(|error| error.to_string())
    }

    #[test]
    fn environment_variable_with_one_underscore_is_refused_with_the_one_that_was_meant() {
        for (name, meant) in [
            ("HERD_SESSIONS_IDLE_S", "HERD__SESSIONS__IDLE_S"),
            ("HERD_STATE_DIR", "HERD__STATE_DIR"),
            ("HERD_NODES_RILEY_CLIENT", "HERD__NODES__RILEY__CLIENT"),
            ("HERD_NODES_RILEY_HOST", "HERD__NODES__RILEY__HOST"),
            ("HERD_UPSTREAMS_GOOGLE_TIMEOUT_MS", "HERD__UPSTREAMS__GOOGLE__TIMEOUT_MS"),
            ("HERD_LOGIC_TOLERANCE_S", "HERD__LOGIC__TOLERANCE_S"),
            ("HERD_LOGS", "HERD_LOG"),
        ] {
            let expected = format!("environment variable {name} is not used; did you mean {meant}?");
            assert_eq!(problem(name, &[]), Some(expected));
        }
        let other = problem("HERD_SOMETHING_ELSE_ENTIRELY", &[]).unwrap();
        assert!(other.ends_with("such as HERD__SESSIONS__IDLE_S; unset or rename it"), "{other}");
    }

    #[test]
    fn environment_variables_with_a_use_are_accepted() {
        for name in [
            "HERD_CONFIG",
            "HERD_CONTEXT",
            "HERD_LOG",
            "HERD_IDENTITY",
            "HERD_BINARY",
            "HERD_DEFAULT_GUEST",
            "HERD_BUILD_COMMIT",
            "HERD_TESTS_WATCH",
            "HERD_GOOGLE_KEY",
            "HERD_SERVICE_HOST",
            "HERD_PORT",
            "HERD_PORT_15415_TCP_ADDR",
            "HERD_RILEY_SERVICE_PORT_CLIENTS",
            "HERDING",
        ] {
            assert_eq!(problem(name, &[]), None, "{name}");
        }
        assert!(problem("HERD_MY_KEY", &[]).is_some());
        assert_eq!(problem("HERD_MY_KEY", &["upstreams.google.secret={ env = \"HERD_MY_KEY\" }"]), None);
    }
}
