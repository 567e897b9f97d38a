//! Plan of a herd: members, links, addresses, settings and directory, and the commands that start and query it.
//!
//! Every start uses the same configuration file, so a node that is started again is the same member at the same addresses.

mod classic;
mod observed;
mod programs;
mod tls;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use herd_admin::{Endpoint, Token};
use herd_sys::state_directory;
use serde_json::Value;

use self::programs::with_program;
use crate::ports::HeldAddress;
use crate::{Client, Operator, Places, Process, Scratch, WAIT_MAX, process};

/// A herd with reserved addresses on loopback and a directory of its own. No node runs until it is started.
///
/// Places come from a stand-in, [`places`](Self::places), unless the configuration says otherwise.
pub struct Herd {
    name: String,
    scratch: Scratch,
    nodes: BTreeMap<String, Node>,
    settings: Vec<String>,
    places: Places,
    config: PathBuf,
    /// Command that runs the nodes, if it is not [`Herd::binary`].
    binary: Option<PathBuf>,
}

struct Node {
    client: HeldAddress,
    /// None until [`Herd::with_tls`].
    client_tls: Option<HeldAddress>,
    /// None until [`Herd::with_classic`].
    classic: Option<HeldAddress>,
    /// Older programs that it sends to.
    classic_peers: Vec<SocketAddr>,
    link: HeldAddress,
    admin: HeldAddress,
    metrics: HeldAddress,
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

    /// A herd of one node, Riley.
    #[must_use]
    pub fn of_one() -> Self {
        Self::of(&[("Riley", &[])])
    }

    /// A herd of these nodes and links. Each link is listed at one of its ends.
    #[must_use]
    pub fn of(nodes: &[(&str, &[&str])]) -> Self {
        let node = |(name, links): &(&str, &[&str])| {
            let links = links.iter().map(ToString::to_string).collect();
            let any = HeldAddress::any;
            (
                (*name).to_string(),
                Node {
                    client: any(),
                    client_tls: None,
                    classic: None,
                    classic_peers: vec![],
                    link: any(),
                    admin: any(),
                    metrics: any(),
                    links,
                },
            )
        };
        let scratch = Scratch::new();
        let config = scratch.path("herd.toml");
        let mut herd = Self {
            name: "herd".into(),
            nodes: nodes.iter().map(node).collect(),
            // Fast redialling keeps the tests short. No test depends on it.
            settings: vec!["links.redial_max_ms=250".into()],
            places: Places::start(),
            config,
            scratch,
            binary: None,
        };
        herd.write_config();
        herd
    }

    /// Renames the herd; the default is `herd`.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self.write_config();
        self
    }

    /// Moves each node to a loopback address of its own, from 127.0.0.2 up, so that a packet filter can tell them apart.
    #[must_use]
    pub fn apart(mut self) -> Self {
        for (number, node) in (2..).zip(self.nodes.values_mut()) {
            let at = || HeldAddress::at(Ipv4Addr::new(127, 0, 0, number));
            (node.client, node.link, node.admin, node.metrics) = (at(), at(), at(), at());
        }
        self.write_config();
        self
    }

    /// Moves the link of each node to this address of the machine. With one that is not loopback the herd is one of several hosts: its
    /// nodes make no certificates by themselves.
    #[must_use]
    pub fn with_links_at(mut self, address: Ipv4Addr) -> Self {
        for node in self.nodes.values_mut() {
            node.link = HeldAddress::at(address);
        }
        self.write_config();
        self
    }

    /// Runs all commands with another program than [`binary`](Self::binary).
    #[must_use]
    pub fn with_binary(mut self, binary: PathBuf) -> Self {
        self.binary = Some(binary);
        self
    }

    /// Takes back the settings that keep tests short: the nodes run as they do for a user.
    #[must_use]
    pub fn as_for_users(mut self) -> Self {
        self.settings.clear();
        self.with("places.sources=[\"embedded\"]")
    }

    /// Sets one key of the configuration, written as on a command line: `with("sessions.idle_s=5")`.
    #[must_use]
    pub fn with(mut self, setting: &str) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// Sets the guest that the nodes start with.
    #[must_use]
    pub fn with_guest(self, guest: impl AsRef<Path>) -> Self {
        let setting = format!("guest={}", guest.as_ref().display());
        self.with(&setting)
    }

    /// Starts every node in one process and waits until all links are up.
    ///
    /// # Panics
    ///
    /// If the herd is not ready in time.
    #[must_use]
    #[track_caller]
    pub fn up(&self) -> Process {
        let mut process = Process::start(self.command(&["up"]), "herd up", self.scratch.path("up.log"));
        process.await_line("herd ready");
        process
    }

    /// Starts every node in one process with `--watch` on this file, and does not wait.
    ///
    /// # Panics
    ///
    /// If the process does not start.
    #[must_use]
    pub fn up_watching(&self, file: &Path) -> Process {
        let command = self.command(&["up", "--watch", &file.to_string_lossy()]);
        Process::start(command, "herd up --watch", self.scratch.path("up.log"))
    }

    /// Starts `herd swap --watch` on this file, and does not wait.
    ///
    /// # Panics
    ///
    /// If the process does not start.
    #[must_use]
    pub fn swap_watching(&self, file: &Path) -> Process {
        let command = self.command(&["swap", &file.to_string_lossy(), "--watch"]);
        Process::start(command, "herd swap --watch", self.scratch.path("watch.log"))
    }

    /// Starts a command and does not wait until it ends. Its log is its standard error.
    ///
    /// # Panics
    ///
    /// If the process does not start.
    #[must_use]
    pub fn begin(&self, arguments: &[&str]) -> Process {
        Process::start(self.command(arguments), "a command", self.scratch.path("command.log"))
    }

    /// Starts one node and waits until it accepts clients. Its links may not be up yet.
    ///
    /// # Panics
    ///
    /// If the node is not ready in time.
    #[must_use]
    #[track_caller]
    pub fn run(&self, node: &str) -> Process {
        let mut process = self.run_without_waiting(node);
        process.await_line(&format!("{node} ready"));
        process
    }

    /// Starts one node that may open `max` files at the same time, and waits until it accepts clients.
    ///
    /// # Panics
    ///
    /// If the node is not ready in time.
    #[must_use]
    #[track_caller]
    pub fn run_with_open_files(&self, node: &str, max: u32) -> Process {
        self.run_through("sh", &["-c", &format!("ulimit -n {max} && exec \"$0\" \"$@\"")], node)
    }

    /// Starts one node that runs on one processor only, and waits until it accepts clients.
    ///
    /// # Panics
    ///
    /// If the node is not ready in time.
    #[must_use]
    #[track_caller]
    pub fn run_on_processor(&self, node: &str, processor: usize) -> Process {
        self.run_through("taskset", &["-c", &processor.to_string()], node)
    }

    /// Starts one node by a program that becomes it, and waits until it accepts clients.
    #[track_caller]
    pub(crate) fn run_through(&self, program: &str, arguments: &[&str], node: &str) -> Process {
        let command = self.command(&["run", node]);
        let before: Vec<&OsStr> = arguments.iter().map(OsStr::new).chain([command.get_program()]).collect();
        let through = with_program(&command, Path::new(program), &before);
        let mut process = Process::start(through, node, self.scratch.path(&format!("{node}.log")));
        process.await_line(&format!("{node} ready"));
        process
    }

    /// Starts one node and does not wait.
    ///
    /// # Panics
    ///
    /// If the process does not start.
    #[must_use]
    pub fn run_without_waiting(&self, node: &str) -> Process {
        Process::start(self.command(&["run", node]), node, self.scratch.path(&format!("{node}.log")))
    }

    /// Starts one node with additional environment variables and does not wait.
    ///
    /// # Panics
    ///
    /// If the process does not start.
    #[must_use]
    pub fn run_with_variables(&self, node: &str, variables: &[(&str, String)]) -> Process {
        let mut command = self.command(&["run", node]);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Process::start(command, node, self.scratch.path(&format!("{node}.log")))
    }

    /// Starts one node with additional settings and waits until it accepts clients.
    ///
    /// # Panics
    ///
    /// If the node is not ready in time.
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

    /// Starts one node at its address, but as a member of a herd with another name, and waits until it accepts clients.
    ///
    /// # Panics
    ///
    /// If the node is not ready in time.
    #[must_use]
    #[track_caller]
    pub fn run_as_member_of(&self, herd: &str, node: &str) -> Process {
        let config = self.scratch.write(&format!("{herd}.toml"), self.text(herd));
        let log = self.scratch.path(&format!("{herd}-{node}.log"));
        let mut process = Process::start(self.command_with(&config, &["run", node]), node, log);
        process.await_line(&format!("{node} ready"));
        process
    }

    /// Runs a `herd` command with this herd's configuration to its end and returns its output.
    ///
    /// # Panics
    ///
    /// If the command does not start or does not end.
    #[must_use]
    #[track_caller]
    pub fn herd(&self, arguments: &[&str]) -> Output {
        process::output(self.command(arguments), &format!("herd {}", arguments.join(" ")))
    }

    /// Runs a subcommand of the binary that takes this long, and returns its output.
    ///
    /// # Panics
    ///
    /// If it takes more than [`WAIT_MAX`](crate::WAIT_MAX) longer.
    #[track_caller]
    pub fn herd_for(&self, duration: Duration, arguments: &[&str]) -> Output {
        process::output_within(duration + WAIT_MAX, self.command(arguments), &format!("herd {}", arguments.join(" ")))
    }

    /// Swaps the logic of these nodes with `herd swap`, or of the whole herd if none is named.
    ///
    /// # Errors
    ///
    /// The standard error of the command.
    pub fn swap(&self, guest: impl AsRef<Path>, nodes: &[&str]) -> Result<(), String> {
        self.swap_with(guest, &nodes.iter().flat_map(|node| ["--node", node]).collect::<Vec<_>>())
    }

    /// Runs `herd swap` with further arguments.
    ///
    /// # Errors
    ///
    /// The standard error of the command.
    pub fn swap_with(&self, guest: impl AsRef<Path>, arguments: &[&str]) -> Result<(), String> {
        let guest = guest.as_ref().to_string_lossy();
        let swapped = self.herd(&[&["swap", &guest], arguments].concat());
        let said = String::from_utf8_lossy(&swapped.stderr).into_owned();
        if swapped.status.success() { Ok(()) } else { Err(said) }
    }

    /// Swaps the whole herd with `node` as coordinator and returns the answer of its admin API.
    ///
    /// # Errors
    ///
    /// The error of the coordinator.
    ///
    /// # Panics
    ///
    /// If the guest cannot be read, or no node was ever started.
    pub fn swap_at(&self, node: &str, guest: impl AsRef<Path>) -> Result<Value, String> {
        let guest = std::fs::read(guest).expect("the guest was built");
        self.operator(node).herd_swap(&guest).map_err(|error| error.to_string())
    }

    /// First eight digits of the digest of the guest that a node serves.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[must_use]
    #[track_caller]
    pub fn serving(&self, node: &str) -> String {
        self.status(node)["generations"]["active"]["digest"].as_str().unwrap_or_default()[..8].into()
    }

    /// Waits until these nodes serve a guest, given by the first digits of its digest.
    ///
    /// # Panics
    ///
    /// If one of them does not in time.
    #[track_caller]
    pub fn await_serving(&self, guest: &str, nodes: &[&str]) {
        for node in nodes {
            self.await_status(node, &format!("generation {guest}"), |status| {
                status["generations"]["active"]["digest"].as_str().is_some_and(|digest| digest.starts_with(guest))
            });
        }
    }

    /// Names of the nodes, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.nodes.keys().map(String::as_str).collect()
    }

    /// Client address of a node.
    ///
    /// # Panics
    ///
    /// If the herd has no such node; the other methods do the same.
    #[must_use]
    pub fn address(&self, node: &str) -> SocketAddr {
        self.nodes[node].client.address
    }

    /// Link address of a node.
    #[must_use]
    pub fn link_address(&self, node: &str) -> SocketAddr {
        self.nodes[node].link.address
    }

    /// Directory in which a node keeps its records.
    #[must_use]
    pub fn node_directory(&self, node: &str) -> PathBuf {
        self.state_directory().join("nodes").join(node)
    }

    /// State directory of the herd.
    #[must_use]
    pub fn state_directory(&self) -> PathBuf {
        state_directory(Some(self.scratch.directory()), &self.name).expect("it is configured")
    }

    /// Address of the admin port of a node.
    #[must_use]
    pub fn admin_address(&self, node: &str) -> SocketAddr {
        self.nodes[node].admin.address
    }

    /// Address of the metrics port of a node.
    #[must_use]
    pub fn metrics_address(&self, node: &str) -> SocketAddr {
        self.nodes[node].metrics.address
    }

    /// Directory of the admin sockets of the nodes.
    #[must_use]
    pub fn admin_directory(&self) -> PathBuf {
        self.state_directory().join("admin")
    }

    /// Neighbours of a node, at whichever end the link is listed.
    #[must_use]
    pub fn neighbours(&self, node: &str) -> Vec<&str> {
        let listed = |from: &str, to: &str| self.nodes[from].links.iter().any(|name| name == to);
        self.names().into_iter().filter(|other| listed(node, other) || listed(other, node)).collect()
    }

    /// Connects a client to a node.
    #[must_use]
    #[track_caller]
    pub fn client(&self, node: &str) -> Client {
        Client::connect(self.address(node))
    }

    /// Connects clients to a node until it refuses one, and returns those that it serves.
    ///
    /// # Panics
    ///
    /// If it serves `limit` of them.
    #[must_use]
    #[track_caller]
    pub fn clients_until_refused(&self, node: &str, limit: usize) -> Vec<Client> {
        let mut open = Vec::new();
        loop {
            let mut client = self.client(node);
            client.send("LLL\n");
            if client.try_line().is_err() {
                return open;
            }
            open.push(client);
            assert!(open.len() < limit, "{node} refuses nobody");
        }
    }

    /// Stand-in for the places service of this herd.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Directory of this herd.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Returns the operator of a node, who uses its admin port.
    ///
    /// # Panics
    ///
    /// If no node of the herd was ever started.
    #[must_use]
    pub fn operator(&self, node: &str) -> Operator {
        let token = Token::read(&self.state_directory()).expect("a node of the herd was started");
        Operator::new(Endpoint::tcp(node, self.nodes[node].admin.address, token))
    }

    /// Builds a `herd` command with this herd's configuration, without starting it.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_with(&self.config, arguments)
    }

    /// Path of the `herd` command: the one that cargo built into the directory above that of the test, or the one that
    /// `HERD_BINARY` names, to test a binary that was built in another way.
    ///
    /// # Panics
    ///
    /// If it was not built.
    #[must_use]
    pub fn binary() -> PathBuf {
        binary()
    }

    fn write_config(&mut self) {
        self.config = self.scratch.write("herd.toml", self.text(&self.name));
    }

    fn command_with(&self, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binary.clone().unwrap_or_else(binary));
        command.args(arguments).arg("--config").arg(config);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERD_")) {
            command.env_remove(name);
        }
        // A node as it comes, whatever the shell of whoever runs this has.
        command.env_remove("MALLOC_ARENA_MAX");
        // The admin sockets are in the directory of the herd, and go with it.
        command.env_remove("XDG_RUNTIME_DIR").env_remove("RUNTIME_DIRECTORY");
        command.env("HERD_GOOGLE_KEY", Places::SECRET).env("HERD_LOG", "info,guest=debug");
        command
    }

    fn text(&self, name: &str) -> String {
        let directory = self.scratch.directory();
        let mut text = format!("herd = {name:?}\nstate_dir = {directory:?}\n");
        let _ = writeln!(text, "[places]\nsources = [\"google-legacy\"]");
        let _ = writeln!(text, "[upstreams.google-legacy]\nurl = {:?}", self.places.url());
        for (name, node) in &self.nodes {
            let Node { client, client_tls, classic, classic_peers, link, admin, metrics, links } = node;
            let (client, link, admin) = (client.address, link.address, admin.address);
            let _ = writeln!(text, "[nodes.{name}]\nclient = \"{client}\"\nlink = \"{link}\"\nadmin = \"{admin}\"");
            let _ = writeln!(text, "metrics = \"{}\"", metrics.address);
            let _ = writeln!(text, "links = {links:?}");
            if let Some(tls) = client_tls {
                let _ = writeln!(text, "client_tls = \"{}\"", tls.address);
            }
            if let Some(classic) = classic {
                let _ = writeln!(text, "classic = \"{}\"", classic.address);
            }
            if !classic_peers.is_empty() {
                let peers: Vec<String> = classic_peers.iter().map(ToString::to_string).collect();
                let _ = writeln!(text, "classic_peers = {peers:?}");
            }
        }
        text
    }
}

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
