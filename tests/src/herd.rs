//! A herd, planned: who is in it, who is linked to whom, and where everything is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use herd_admin::Token;
use herd_sys::state_directory;
use serde_json::Value;

use crate::ports::HeldAddress;
use crate::{Client, Operator, Places, Process, Scratch, eventually, process};

/// A herd with free addresses on loopback and a directory of its own. Nothing runs until it is started.
///
/// Places come from a stand-in, [`places`](Self::places), unless configured otherwise.
pub struct Herd {
    name: String,
    scratch: Scratch,
    nodes: BTreeMap<String, Node>,
    settings: Vec<String>,
    places: Places,
    config: PathBuf,
}

struct Node {
    client: HeldAddress,
    link: HeldAddress,
    admin: HeldAddress,
    links: Vec<String>,
}

impl Herd {
    /// The five-node herd: Riley, Jaquez, Juzang, Campbell and Bernard with their six links.
    #[must_use]
    pub fn of_five() -> Self {
        Self::of(&[
            ("Riley", &["Jaquez", "Juzang"]),
            ("Jaquez", &["Bernard"]),
            ("Juzang", &["Bernard", "Campbell"]),
            ("Campbell", &["Bernard"]),
            ("Bernard", &[]),
        ])
    }

    /// A herd of one.
    #[must_use]
    pub fn of_one() -> Self {
        Self::of(&[("Riley", &[])])
    }

    /// These nodes with these links, each listed on one side.
    #[must_use]
    pub fn of(nodes: &[(&str, &[&str])]) -> Self {
        let node = |(name, links): &(&str, &[&str])| {
            let links = links.iter().map(ToString::to_string).collect();
            let any = HeldAddress::any;
            ((*name).to_string(), Node { client: any(), link: any(), admin: any(), links })
        };
        let scratch = Scratch::new();
        let config = scratch.path("herd.toml");
        let mut herd = Self {
            name: "herd".into(),
            nodes: nodes.iter().map(node).collect(),
            // Dialing again soon keeps the tests short; nothing depends on it.
            settings: vec!["links.redial_max_ms=250".into()],
            places: Places::start(),
            config,
            scratch,
        };
        herd.write_config();
        herd
    }

    /// Gives the herd another name than `herd`.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self.write_config();
        self
    }

    /// Sets one key of the configuration, written as on a command line: `with("sessions.idle_s=5")`.
    #[must_use]
    pub fn with(mut self, setting: &str) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// Has the nodes begin with this guest.
    #[must_use]
    pub fn with_guest(self, guest: impl AsRef<Path>) -> Self {
        let setting = format!("guest={}", guest.as_ref().display());
        self.with(&setting)
    }

    /// Starts every node in one process and waits until all links are up.
    ///
    /// # Panics
    ///
    /// When it does not come to that.
    #[must_use]
    #[track_caller]
    pub fn up(&self) -> Process {
        let mut process = Process::start(self.command(&["up"]), "herd up", self.scratch.path("up.log"));
        process.await_line("herd ready");
        process
    }

    /// Starts every node in one process with this file as their logic, and does not wait.
    ///
    /// # Panics
    ///
    /// When the process does not start.
    #[must_use]
    pub fn up_watching(&self, file: &Path) -> Process {
        let command = self.command(&["up", "--watch", &file.to_string_lossy()]);
        Process::start(command, "herd up --watch", self.scratch.path("up.log"))
    }

    /// Starts `herd swap --watch` of this file, and does not wait.
    ///
    /// # Panics
    ///
    /// When the process does not start.
    #[must_use]
    pub fn swap_watching(&self, file: &Path) -> Process {
        let command = self.command(&["swap", &file.to_string_lossy(), "--watch"]);
        Process::start(command, "herd swap --watch", self.scratch.path("watch.log"))
    }

    /// Starts one node and waits until it accepts clients. Its links may not be up yet.
    ///
    /// # Panics
    ///
    /// When it does not come to that.
    #[must_use]
    #[track_caller]
    pub fn run(&self, node: &str) -> Process {
        let mut process = self.run_without_waiting(node);
        process.await_line(&format!("{node} ready"));
        process
    }

    /// Starts one node and does not wait.
    ///
    /// # Panics
    ///
    /// When the process does not start.
    #[must_use]
    pub fn run_without_waiting(&self, node: &str) -> Process {
        Process::start(self.command(&["run", node]), node, self.scratch.path(&format!("{node}.log")))
    }

    /// Starts one node with more settings than the others have, and waits until it accepts clients.
    ///
    /// # Panics
    ///
    /// When it does not come to that.
    #[must_use]
    #[track_caller]
    pub fn run_with(&self, node: &str, settings: &[&str]) -> Process {
        let mut command = self.command(&["run", node]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut process = Process::start(command, node, self.scratch.path(&format!("{node}.log")));
        process.await_line(&format!("{node} ready"));
        process
    }

    /// Starts one node at its address in this herd, but as a member of a herd of another name, and waits until it accepts
    /// clients.
    ///
    /// # Panics
    ///
    /// When it does not come to that.
    #[must_use]
    #[track_caller]
    pub fn run_as_member_of(&self, herd: &str, node: &str) -> Process {
        let config = self.scratch.write(&format!("{herd}.toml"), self.text(herd));
        let log = self.scratch.path(&format!("{herd}-{node}.log"));
        let mut process = Process::start(self.command_with(&config, &["run", node]), node, log);
        process.await_line(&format!("{node} ready"));
        process
    }

    /// Runs a `herd` command with this herd's configuration to its end.
    ///
    /// # Panics
    ///
    /// When it does not start, or does not end.
    #[must_use]
    #[track_caller]
    pub fn herd(&self, arguments: &[&str]) -> Output {
        process::output(self.command(arguments), &format!("herd {}", arguments.join(" ")))
    }

    /// Replaces the logic of these nodes with `herd swap`, or of all when none is named.
    ///
    /// # Errors
    ///
    /// What the command says when it fails.
    pub fn swap(&self, guest: impl AsRef<Path>, nodes: &[&str]) -> Result<(), String> {
        self.swap_with(guest, &nodes.iter().flat_map(|node| ["--node", node]).collect::<Vec<_>>())
    }

    /// Swaps the logic, with more arguments on the command line.
    ///
    /// # Errors
    ///
    /// What the command said.
    pub fn swap_with(&self, guest: impl AsRef<Path>, arguments: &[&str]) -> Result<(), String> {
        let guest = guest.as_ref().to_string_lossy();
        let swapped = self.herd(&[&["swap", &guest], arguments].concat());
        let said = String::from_utf8_lossy(&swapped.stderr).into_owned();
        if swapped.status.success() { Ok(()) } else { Err(said) }
    }

    /// Has the herd swap, asked for at one node, and gives what it answers.
    ///
    /// # Errors
    ///
    /// What the node says when it does not.
    ///
    /// # Panics
    ///
    /// When the guest cannot be read, or no node was ever started.
    pub fn swap_at(&self, node: &str, guest: impl AsRef<Path>) -> Result<Value, String> {
        let guest = std::fs::read(guest).expect("the guest was built");
        self.operator(node).herd_swap(&guest).map_err(|error| error.to_string())
    }

    /// Which guest a node serves: the first digits of its digest.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn serving(&self, node: &str) -> String {
        self.status(node)["generations"]["active"]["digest"].as_str().unwrap_or_default()[..8].into()
    }

    /// Waits until these nodes serve a guest.
    ///
    /// # Panics
    ///
    /// When one never does.
    #[track_caller]
    pub fn await_serving(&self, guest: &str, nodes: &[&str]) {
        for node in nodes {
            self.await_status(node, &format!("generation {guest}"), |status| {
                status["generations"]["active"]["digest"].as_str().is_some_and(|digest| digest.starts_with(guest))
            });
        }
    }

    /// The names of the nodes.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.nodes.keys().map(String::as_str).collect()
    }

    /// Where clients of a node connect.
    ///
    /// # Panics
    ///
    /// When there is no such node, as all of these do.
    #[must_use]
    pub fn address(&self, node: &str) -> SocketAddr {
        self.nodes[node].client.address
    }

    /// Where peers of a node connect.
    #[must_use]
    pub fn link_address(&self, node: &str) -> SocketAddr {
        self.nodes[node].link.address
    }

    /// The neighbours of a node, whichever side lists the link.
    #[must_use]
    pub fn neighbours(&self, node: &str) -> Vec<&str> {
        let listed = |from: &str, to: &str| self.nodes[from].links.iter().any(|name| name == to);
        self.names().into_iter().filter(|other| listed(node, other) || listed(other, node)).collect()
    }

    /// Connects to a node.
    #[must_use]
    #[track_caller]
    pub fn client(&self, node: &str) -> Client {
        Client::connect(self.address(node))
    }

    /// The stand-in for the places service.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The directory of this herd.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Operates a node, over a connection that is kept.
    ///
    /// # Panics
    ///
    /// When the node was never started.
    #[must_use]
    pub fn operator(&self, node: &str) -> Operator {
        let directory = state_directory(Some(self.scratch.directory()), &self.name).expect("it is configured");
        let token = Token::read(&directory).expect("a node of the herd was started");
        Operator::new(self.nodes[node].admin.address, token)
    }

    /// What a node says of itself, or nothing if it does not answer.
    ///
    /// # Panics
    ///
    /// When the node was never started.
    #[must_use]
    pub fn try_status(&self, node: &str) -> Option<Value> {
        self.operator(node).status().ok()
    }

    /// What a node says of itself.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn status(&self, node: &str) -> Value {
        self.try_status(node).unwrap_or_else(|| panic!("{node} does not say how it is"))
    }

    /// The digest of the records of a node.
    #[must_use]
    #[track_caller]
    pub fn digest(&self, node: &str) -> String {
        self.status(node)["records"]["digest"].as_str().unwrap_or_default().into()
    }

    /// Waits until a node's status is as wanted.
    ///
    /// # Panics
    ///
    /// When it never is.
    #[track_caller]
    pub fn await_status(&self, node: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{what} at {node}"), || {
            let status = self.try_status(node).ok_or_else(|| format!("{node} does not answer"))?;
            if wanted(&status) { Ok(status) } else { Err(status.to_string()) }
        })
    }

    /// Waits until these nodes have exactly the links among them, both ways.
    ///
    /// # Panics
    ///
    /// When they never have.
    #[track_caller]
    pub fn await_linked(&self, nodes: &[&str]) {
        for node in nodes {
            let mut wanted = self.neighbours(node);
            wanted.retain(|other| nodes.contains(other));
            self.await_status(node, &format!("links to {wanted:?}"), |status| {
                let links = status["links"].as_array().into_iter().flatten();
                let up = links.filter(|link| link["state"] != "down").filter_map(|link| link["peer"].as_str());
                up.collect::<Vec<_>>() == wanted
            });
        }
    }

    /// Whether a node knows where a client is.
    ///
    /// # Panics
    ///
    /// When the node does not answer.
    #[must_use]
    #[track_caller]
    pub fn knows(&self, node: &str, client: &str) -> bool {
        self.client(node).ask_places(&format!("WHATSAT {client} 1 1")).0.starts_with("AT ")
    }

    /// Waits until these nodes know where a client is.
    ///
    /// # Panics
    ///
    /// When one never does.
    #[track_caller]
    pub fn await_known(&self, client: &str, nodes: &[&str]) {
        for node in nodes {
            let known = || if self.knows(node, client) { Ok(()) } else { Err("it does not".into()) };
            eventually(&format!("{node} knows {client}"), known);
        }
    }

    /// A command of this herd, not started.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_with(&self.config, arguments)
    }

    fn write_config(&mut self) {
        self.config = self.scratch.write("herd.toml", self.text(&self.name));
    }

    fn command_with(&self, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).arg("--config").arg(config);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERD_")) {
            command.env_remove(name);
        }
        command.env("HERD_GOOGLE_KEY", Places::SECRET).env("HERD_LOG", "info,guest=debug");
        command
    }

    fn text(&self, name: &str) -> String {
        let directory = self.scratch.directory();
        let mut text = format!("herd = {name:?}\nstate_dir = {directory:?}\n");
        let _ = writeln!(text, "[places]\nsources = [\"google-legacy\"]");
        let _ = writeln!(text, "[upstreams.google-legacy]\nurl = {:?}", self.places.url());
        for (name, node) in &self.nodes {
            let Node { client, link, admin, links } = node;
            let (client, link, admin) = (client.address, link.address, admin.address);
            let _ = writeln!(text, "[nodes.{name}]\nclient = \"{client}\"\nlink = \"{link}\"\nadmin = \"{admin}\"");
            let _ = writeln!(text, "links = {links:?}");
        }
        text
    }
}

/// The `herd` command, which cargo has built into the directory above that of the test; or the one that `HERD_BINARY` names,
/// to try one that was built otherwise.
fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("HERD_BINARY") {
        return binary.into();
    }
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.ancestors().nth(2).expect("a test is two directories deep in the target directory");
    let binary = profile.join("herd-under-test");
    let missing =
        "cargo builds it with the tests of herd-tests; in other places type: cargo build --release -p herd-tests";
    assert!(binary.exists(), "{} is not there; {missing}", binary.display());
    binary
}
