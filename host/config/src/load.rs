//! Loading: reads the file, applies the environment and then the command line, and checks the result.
//!
//! The sources are merged as TOML tables before deserialization, so that an unknown key is found wherever it comes from.
//! Bound: the file is read whole.

use std::path::{Path, PathBuf};

use herd_upstreams::SecretSource;
use toml::{Table, Value};

use super::check;
use super::environment::{KEY_PREFIX, check_variables};
use super::error::{ConfigError, Merged, Override};
use super::herd_config::HerdConfig;
use super::set_by_operator::SetByOperator;

/// Sources of a configuration. Each overrides the one before it.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Path of the file. None: only defaults.
    pub file: Option<PathBuf>,
    /// Variables of the environment, as name and value. Those that start with `HERD__` set a key: `HERD__SESSIONS__IDLE_S=5`.
    /// Another name that starts with `HERD_` and has no use is an error; all others are ignored.
    pub environment: Vec<(String, String)>,
    /// Assignments from the command line, as `key=value`: `sessions.idle_s=5`.
    pub set: Vec<String>,
}

/// Loads a configuration: reads, merges and checks its sources.
///
/// ```
/// use herd_config::{Sources, load};
///
/// let set = vec!["sessions.idle_s=60".into(), "nodes.Riley.client=127.0.0.1:0".into()];
/// let config = load(&Sources { set, ..Sources::default() })?;
/// assert_eq!(config.sessions.idle_s, 60);
/// assert_eq!(config.nodes.len(), 5);
/// # Ok::<(), herd_config::ConfigError>(())
/// ```
///
/// # Errors
///
/// The first problem, in one line. Nothing was started.
pub fn load(sources: &Sources) -> Result<HerdConfig, ConfigError> {
    let text = match &sources.file {
        Some(file) => std::fs::read_to_string(file).map_err(|error| ConfigError::of_file(file, error))?,
        None => String::new(),
    };
    let file = sources.file.as_deref();
    let parsed = text.parse::<Table>();
    let mut table = parsed.map_err(|error| ConfigError::of_syntax(file.unwrap_or(Path::new("")), &text, &error))?;
    let mut overrides = Vec::new();
    for (name, value) in &sources.environment {
        let Some(path) = name.strip_prefix(KEY_PREFIX) else { continue };
        let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        set(&mut table, &path, value, name)?;
        overrides.push(Override { path, origin: name.clone() });
    }
    for assignment in &sources.set {
        let Some((path, value)) = assignment.split_once('=') else {
            return Err(ConfigError::general(format!(
                "--set {assignment}: write it as key=value, such as sessions.idle_s=5"
            )));
        };
        let path: Vec<String> = path.trim().split('.').map(ToString::to_string).collect();
        set(&mut table, &path, value.trim(), "--set")?;
        overrides.push(Override { path, origin: format!("--set {assignment}") });
    }
    let merged = Merged { table: &table, file, text: &text, overrides: &overrides, defaults };
    let mut config = HerdConfig::deserialize_table(&merged)?;
    config.set_by_operator = SetByOperator::of(&table);
    check_variables(&sources.environment, &config)?;
    if let Some(directory) = file.and_then(Path::parent) {
        config.resolve_paths(directory);
    }
    check::check(&config).map_err(|problem| match file {
        Some(file) => ConfigError::of_file(file, problem),
        None => ConfigError::general(problem),
    })?;
    Ok(config)
}

impl HerdConfig {
    /// Resolves relative paths against the directory of the file, so that they do not depend on the current directory.
    fn resolve_paths(&mut self, directory: &Path) {
        for path in [&mut self.guest, &mut self.state_dir].into_iter().flatten() {
            *path = directory.join(&path);
        }
        for path in self.client_tls.iter_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]) {
            *path = directory.join(&path);
        }
        if let Some(path) = &mut self.traffic_log {
            *path = directory.join(&path).to_string_lossy().into_owned();
        }
        for upstream in self.upstreams.0.values_mut() {
            if let Some(SecretSource::File(path)) = &mut upstream.secret {
                *path = directory.join(&path);
            }
        }
    }

    fn deserialize_table(merged: &Merged<'_>) -> Result<Self, ConfigError> {
        let config = Value::Table(merged.table.clone()).try_into();
        config.map_err(|error| ConfigError::of_value(merged, &error))
    }
}

/// Sets one value. Matches existing names without regard to case, because variables of the environment are upper case.
fn set(table: &mut Table, path: &[String], value: &str, origin: &str) -> Result<(), ConfigError> {
    let Some((last, parents)) = path.split_last().filter(|(last, _)| !last.is_empty()) else {
        return Err(ConfigError::general(format!("{origin}: the key is empty")));
    };
    let mut table = table;
    if parents.first().is_some_and(|first| first == "nodes") && !table.contains_key("nodes") {
        // Without the defaults in the table, a change to one of the five nodes would remove the other four.
        let defaults =
            Value::try_from(HerdConfig::default().nodes).map_err(|error| ConfigError::general(error.to_string()))?;
        table.insert("nodes".into(), defaults);
    }
    for parent in parents {
        let name = existing(table, parent);
        table = match table.entry(name).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => inner,
            _ => return Err(ConfigError::general(format!("{origin}: `{parent}` is a value, not a table"))),
        };
    }
    let name = existing(table, last);
    table.insert(name, parse_value(value));
    Ok(())
}

pub(super) fn defaults() -> Table {
    Table::try_from(HerdConfig::default()).unwrap_or_default()
}

fn existing(table: &Table, name: &str) -> String {
    table.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned().unwrap_or_else(|| name.to_string())
}

/// Parses a value as TOML, or else takes it as a string, so that strings need no quotes on a command line.
fn parse_value(value: &str) -> Value {
    let parsed = format!("value = {value}").parse::<Table>();
    parsed.ok().and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<HerdConfig, String> {
        let table = text.parse::<Table>().unwrap();
        let file = Some(Path::new("herd.toml"));
        let config = HerdConfig::deserialize_table(&Merged { table: &table, file, text, overrides: &[], defaults });
        let config = config.map_err(|error| error.to_string())?;
        check::check(&config)?;
        Ok(config)
    }

    #[test]
    fn unknown_key_is_reported_with_its_line_and_the_nearest_key() {
        let error = parse("herd = \"x\"\n[sessions]\n\nidel_s = 5\n").unwrap_err();
        assert_eq!(error, "herd.toml:4: unknown key `idel_s`; did you mean `idle_s`?");
        let error = parse("[sesions]\n").unwrap_err();
        assert_eq!(error, "herd.toml:1: unknown key `sesions`; did you mean `sessions`?");
    }

    #[test]
    fn value_of_the_wrong_type_is_reported_with_its_key_and_what_to_write() {
        for (text, problem) in [
            (
                "[sessions]\nidle_s = \"soon\"",
                "`sessions.idle_s` is \"soon\"; it must be a whole number from 0, such as 3600",
            ),
            ("[sessions]\nidle_s = -5", "`sessions.idle_s` is -5; it must be a whole number from 0, such as 3600"),
            (
                "[places]\nsources = \"google\"",
                "`places.sources` is \"google\"; it must be a list, such as [\"embedded\"]",
            ),
            ("herd = 5", "`herd` is 5; it must be text in quotes"),
            ("sessions = 5", "`sessions` is 5; it must be a table"),
            ("[nodes.Riley]\nlinks = []", "`nodes.Riley` has no `client`; set it to \"127.0.0.1:15415\""),
        ] {
            let error = parse(text).unwrap_err();
            let line = text.lines().count();
            assert_eq!(error, format!("herd.toml:{line}: {problem}").replace(":2: `nodes.Riley`", ":1: `nodes.Riley`"));
        }
    }

    #[test]
    fn address_that_is_none_is_reported_with_what_to_write() {
        const USAGE: &str = "it must be an IP address and a port in quotes, such as \"127.0.0.1:15415\"";
        for (address, problem) in [
            (
                "localhost:25415",
                "this is where the node listens, so write \"[::]:25415\" for every interface, or an IP address, and the name to `host`",
            ),
            ("127.0.0.1", "the port is missing, so write it as \"127.0.0.1:15415\""),
            ("::1", "the port is missing, so write it as \"[::1]:15415\""),
            (
                ":15415",
                "the IP address is missing, so write \"127.0.0.1:15415\", or \"0.0.0.0:15415\" for every interface",
            ),
            ("127.0.0.1:70000", "`70000` is not a port; a port is a number from 0 to 65535"),
            ("127.0.0.256:1", USAGE),
            ("somewhere", USAGE),
        ] {
            let error = parse(&format!("[nodes.Riley]\nclient = {address:?}\n")).unwrap_err();
            assert_eq!(error, format!("herd.toml:2: `nodes.Riley.client` is {address:?}; {problem}"));
        }
        let error = parse("[nodes.Riley]\nclient = 15415\n").unwrap_err();
        assert_eq!(error, format!("herd.toml:2: `nodes.Riley.client` is 15415; {USAGE}"));
    }

    #[test]
    fn override_that_is_wrong_is_reported_as_it_was_typed() {
        let problem = |name: &str, set: &[&str]| {
            let environment = vec![(name.into(), "soon".into())];
            let set = set.iter().map(ToString::to_string).collect();
            load(&Sources { file: None, environment, set }).unwrap_err().to_string()
        };
        assert_eq!(
            problem("HERD__SESSIONS__IDEL_S", &[]),
            "HERD__SESSIONS__IDEL_S: unknown key `idel_s`; did you mean `idle_s`?"
        );
        assert_eq!(
            problem("HERD__SESSIONS__IDLE_S", &["sessions.idle_s=later"]),
            "--set sessions.idle_s=later: `sessions.idle_s` is \"later\"; it must be a whole number from 0, such as 3600"
        );
    }

    #[test]
    fn secret_is_not_shown_in_an_error() {
        let error = parse("[upstreams.google]\nsecret = { value = \"AIza-hidden\" }\n").unwrap_err();
        assert!(!error.contains("AIza") && error.contains("herd.toml:2"), "{error}");
    }

    #[test]
    fn classic_links_that_nobody_could_use_are_refused() {
        let problem =
            |text: &str| parse(&format!("[nodes.Ada]\nclient = \"127.0.0.1:15415\"\n{text}")).map(|_| ()).unwrap_err();
        let nobody = problem("classic = \"127.0.0.1:14415\"\n");
        assert!(
            nobody.starts_with("`nodes.Ada.classic` is set and nobody may connect to it; set `classic.accept`"),
            "{nobody}"
        );
        let clash = problem("classic = \"127.0.0.1:15415\"\n[classic]\naccept = [\"192.0.2.7\"]\n");
        assert!(clash.contains("both the client address of Ada and the classic address of Ada"), "{clash}");
        let twice = problem("classic_peers = [\"old-1:1\", \"old-2:1\", \"old-1:1\"]\n");
        assert_eq!(twice, "`nodes.Ada.classic_peers` has old-1:1 twice");
        assert!(problem("[logic]\nlistener = \"classic\"\n").starts_with("`logic.listener` is set by the host"));
        assert!(
            problem("[classic]\nconections = \"kept\"\n")
                .ends_with("unknown key `conections`; did you mean `connections`?")
        );
    }

    #[test]
    fn node_that_no_links_lead_to_is_refused() {
        let nodes = |links: [&str; 3]| {
            let node = |(name, links): (&str, &str)| {
                let port = 100 + name.len();
                format!("[nodes.{name}]\nclient = \"127.0.0.1:{port}\"\nlinks = [{links}]\n")
            };
            parse(&["Ada", "Cleo", "Bruno"].into_iter().zip(links).map(node).collect::<String>()).map(|_| ())
        };
        let problem = |to: &str| {
            format!(
                "no links lead from Ada to {to}, which would receive no reports; set `nodes.{to}.links` to [\"Ada\"]"
            )
        };
        assert_eq!(nodes(["\"Cleo\"", "", ""]), Err(problem("Bruno")));
        assert_eq!(nodes(["", "\"Bruno\"", ""]), Err(problem("Cleo")));
        assert_eq!(nodes(["\"Cleo\"", "\"Bruno\"", ""]), Ok(()));
        assert!(parse("[nodes.Ada]\nclient = \"127.0.0.1:1\"\n").is_ok(), "a herd of one node needs no link");
    }

    #[test]
    fn nodes_on_one_port_of_several_loopback_addresses_do_not_clash() {
        let nodes = |addresses: [&str; 3]| {
            let node = |(name, address): (&str, &str)| {
                format!(
                    "[nodes.{name}]\nclient = \"{address}\"\nlink = \"127.0.0.1:{}\"\nlinks = [\"Ada\"]\n",
                    name.len()
                )
            };
            let text: String = ["Ada", "Cleo", "Bruno"].into_iter().zip(addresses).map(node).collect();
            parse(&text.replacen("links = [\"Ada\"]", "", 1))
                .map(|config| config.nodes["Cleo"].admin_address().to_string())
        };
        assert_eq!(nodes(["127.0.0.1:15415", "127.0.0.2:15415", "127.0.0.3:15415"]), Ok("127.0.0.2:17415".into()));
        assert_eq!(
            nodes(["10.0.0.1:15415", "10.0.0.2:15415", "10.0.0.3:15416"]),
            Err("127.0.0.1:17415 is both the admin address of Ada and the admin address of Cleo; set `nodes.Cleo.admin` to \"127.0.0.1:17417\""
                .into())
        );
    }

    #[test]
    fn node_is_dialed_where_its_host_says_and_listens_where_its_address_says() {
        let node = |name: &str, keys: &str| format!("[nodes.{name}]\nclient = \"[::]:15415\"\n{keys}\n");
        let text = node("Ada", "host = \"ada.example.net\"\nlinks = [\"Bruno\", \"Cleo\"]")
            + &node("Bruno", "host = \"2001:db8::2\"")
            + &node("Cleo", "host = \"cleo.example.net\"\nlink_dial = \"gate.example.net:7\"");
        let config = parse(&text).unwrap();
        let dialed: Vec<String> = config.neighbours("Ada").iter().map(|(_, dial)| dial.to_string()).collect();
        assert_eq!(dialed, ["[2001:db8::2]:16415", "gate.example.net:7"]);
        let ada = &config.nodes["Ada"];
        assert_eq!(ada.link_dial().to_string(), "ada.example.net:16415");
        assert_eq!(
            (ada.link_address().to_string(), ada.admin_address().to_string()),
            ("[::]:16415".into(), "127.0.0.1:17415".into())
        );
        assert_eq!(ada.client_dial(ada.client).to_string(), "ada.example.net:15415");
        assert_eq!(ada.client_dial("127.0.0.1:5".parse().unwrap()).to_string(), "127.0.0.1:5");
        assert!(!config.is_on_one_host());
        assert!(load(&Sources::default()).unwrap().is_on_one_host());
    }

    #[test]
    fn node_that_others_cannot_find_is_refused() {
        let problem = |keys: &str| parse(&format!("[nodes.Ada]\n{keys}\n")).unwrap_err();
        assert_eq!(
            problem("client = \"0.0.0.0:15415\""),
            "Ada accepts links on 0.0.0.0:16415, and no other node knows where that is; set `nodes.Ada.host` to the name or address of its \
             host, such as \"edge-1.example.net\""
        );
        assert_eq!(
            problem("client = \"127.0.0.1:15415\"\nhost = \"ada\""),
            "Ada accepts links on 127.0.0.1:16415, to which no other host can connect; set `nodes.Ada.link` to \"[::]:16415\", for every \
             interface of ada"
        );
        assert_eq!(
            problem("client = \"[::]:15415\"\nhost = \"ada example\""),
            "herd.toml:3: `nodes.Ada.host`: \"ada example\" is no host; write its name or IP address, such as \"edge-1.example.net\" or \
             \"192.0.2.1\""
        );
        assert_eq!(
            problem("client = \"[::]:15415\"\nlink_dial = \"ada\""),
            "herd.toml:3: `nodes.Ada.link_dial`: \"ada\" has no port; write it as \"edge-1.example.net:16415\" or \
             \"[2001:db8::1]:16415\""
        );
    }

    #[test]
    fn link_to_an_unknown_node_is_refused() {
        let error = parse(
            "[nodes.Riley]\nclient = \"127.0.0.1:1\"\nlinks = [\"Jaques\"]\n[nodes.Jaquez]\nclient = \"127.0.0.1:2\"\n",
        );
        assert_eq!(error.unwrap_err(), "Riley links to `Jaques`, which is not a node; did you mean `Jaquez`?");
    }

    #[test]
    fn later_sources_override_earlier_ones() {
        let sources = Sources {
            file: None,
            environment: vec![
                ("HERD__SESSIONS__IDLE_S".into(), "5".into()),
                ("HERD__HERD".into(), "mine".into()),
                ("HERD_GOOGLE_KEY".into(), "not a key of the file".into()),
            ],
            set: vec!["sessions.idle_s=6".into(), "places.sources=[\"google\", \"embedded\"]".into()],
        };
        let config = load(&sources).unwrap();
        assert_eq!((config.sessions.idle_s, &*config.herd), (6, "mine"));
        assert_eq!(config.places.sources, ["google", "embedded"]);
    }

    #[test]
    fn override_of_one_default_node_keeps_the_others() {
        let environment = vec![("HERD__NODES__RILEY__CLIENT".into(), "127.0.0.1:1".into())];
        let set = vec!["nodes.Campbell.client=127.0.0.1:2".into()];
        let config = load(&Sources { file: None, environment, set }).unwrap();
        assert_eq!(config.node_names()[..2], ["Riley", "Campbell"]);
        assert_eq!((config.nodes.len(), config.neighbours("Riley").len()), (5, 2));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for (setting, error) in [
            ("sessions.idle_s=0", "`sessions.idle_s` is 0; it must be 1 to 31536000"),
            (
                "sessions.idle_s=9223372036854775807",
                "`sessions.idle_s` is 9223372036854775807; it must be 1 to 31536000",
            ),
            ("sessions.output_kib_max=0", "`sessions.output_kib_max` is 0; it must be 1 to 1048576"),
            ("audit.mib_max=0", "`audit.mib_max` is 0; it must be 1 to 4096"),
            (
                "nodes.Riley.client=127.0.0.1:64000",
                "Riley: client port 64000 leaves no room for the admin port 2000 above it; set `nodes.Riley.admin`",
            ),
        ] {
            let sources = Sources { set: vec![setting.into()], ..Sources::default() };
            assert_eq!(load(&sources).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn client_port_with_tls_needs_a_certificate_and_an_address_of_its_own() {
        let with =
            |set: &[&str]| load(&Sources { set: set.iter().map(ToString::to_string).collect(), ..Sources::default() });
        let tls = "nodes.Riley.client_tls=127.0.0.1:15515";
        assert_eq!(
            with(&[tls]).unwrap_err().to_string(),
            "`nodes.Riley.client_tls` is set and there is no certificate; set `client_tls.certificate` and `client_tls.key` to files \
             in PEM"
        );
        let files = ["client_tls.certificate=tls/{node}.pem", "client_tls.key=tls/{node}.key"];
        let config = with(&[tls, files[0], files[1]]).unwrap();
        let of_riley = config.client_tls.unwrap().of("Riley");
        assert_eq!(of_riley, [Path::new("tls/Riley.pem"), Path::new("tls/Riley.key")]);
        let clash = with(&["nodes.Riley.client_tls=127.0.0.1:15416", files[0], files[1]]).unwrap_err().to_string();
        assert!(
            clash.starts_with(
                "127.0.0.1:15416 is both the client_tls address of Riley and the client address of Jaquez"
            ),
            "{clash}"
        );
        let all = with(&["nodes.Riley.client_tls=0.0.0.0:15416", files[0], files[1]]).unwrap_err().to_string();
        assert!(
            all.starts_with(
                "127.0.0.1:15416, the client address of Jaquez, and 0.0.0.0:15416, the client_tls address of Riley, overlap"
            ),
            "{all}"
        );
        let half = with(&[tls, files[0]]).unwrap_err().to_string();
        assert!(half.contains("`client_tls` has no `key`"), "{half}");
    }

    #[test]
    fn networks_that_are_none_are_refused() {
        let with = |setting: &str| load(&Sources { set: vec![setting.into()], ..Sources::default() });
        let config = with("sessions.per_address.allow=[\"10.0.0.0/8\", \"192.0.2.7\"]").unwrap();
        assert_eq!(config.sessions.per_address.allow.len(), 2);
        let error = with("sessions.per_address.allow=[\"10.0.0.0/99\"]").unwrap_err().to_string();
        assert!(
            error.contains("sessions.per_address.allow") && error.contains("\"10.0.0.0/99\" is no network; write "),
            "{error}"
        );
    }

    #[test]
    fn source_whose_timeout_leaves_no_time_for_the_next_one_is_refused() {
        let with =
            |set: &[&str]| load(&Sources { set: set.iter().map(ToString::to_string).collect(), ..Sources::default() });
        let sources = "places.sources=[\"google\", \"google-legacy\", \"embedded\"]";
        assert!(with(&[sources]).is_ok());
        assert!(with(&["places.sources=[\"google\"]", "upstreams.google.timeout_ms=60000"]).is_ok(), "the last one");
        assert_eq!(
            with(&[sources, "upstreams.google-legacy.timeout_ms=6000"]).unwrap_err().to_string(),
            "`upstreams.google-legacy.timeout_ms` of 6000 leaves no time for the places source after google-legacy: all sources \
             of a reply have 8000 ms together; lower it, or make google-legacy the last of `places.sources`"
        );
    }

    #[test]
    fn herd_name_that_the_handshake_cannot_hold_is_refused() {
        let with =
            |length: usize| load(&Sources { set: vec![format!("herd={}", "h".repeat(length))], ..Sources::default() });
        assert!(with(128).is_ok());
        assert_eq!(
            with(129).unwrap_err().to_string(),
            "`herd` is 129 bytes long; nodes identify each other with at most 128 bytes, so shorten it"
        );
    }

    #[test]
    fn default_herd_has_five_nodes_and_six_links() {
        let config = load(&Sources::default()).unwrap();
        let count: usize = config.nodes.keys().map(|name| config.neighbours(name).len()).sum();
        assert_eq!((config.node_names()[0], config.nodes.len(), count), ("Riley", 5, 12));
        assert_eq!(config.nodes["Bernard"].admin_address().port(), 17419);
    }
}
