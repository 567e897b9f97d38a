//! OCI registries for tests: Debian's docker-registry, and one in memory that can lie.
//!
//! Both want the password of [`RegistryUser`], who is logged in by a file in the directory of the test.

mod in_memory;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::ports::HeldAddress;
use crate::{Herd, Process, Scratch, eventually, tool};

pub use in_memory::{Lie, RegistryInMemory};

/// Debian's registry, over http on loopback. Ends on drop.
pub struct DockerRegistry {
    address: HeldAddress,
    _process: Process,
}

impl DockerRegistry {
    /// Starts a registry with its store and its users in this directory. None if it is not installed.
    ///
    /// # Panics
    ///
    /// If it does not start, or is missing where it must not be.
    #[must_use]
    pub fn start(scratch: &Scratch) -> Option<Self> {
        let program = tool("docker-registry", "docker-registry")?;
        let address = HeldAddress::any();
        let users = scratch.write("htpasswd", RegistryUser::HTPASSWD);
        let (store, users) = (scratch.path("registry-store"), users.display());
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {}}}\nauth: {{htpasswd: {{realm: \
             test, path: {users}}}}}\n",
            store.display(),
            address.address
        );
        let config = scratch.write("registry.yml", config);
        let mut command = Command::new(program);
        command.arg("serve").arg(config);
        let process = Process::start(command, "docker-registry", scratch.path("registry.log"));
        eventually("the registry", || TcpStream::connect(address.address).map_err(|error| error.to_string()));
        Some(Self { address, _process: process })
    }

    /// Host and port for references.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.address.to_string()
    }
}

/// Somebody who is logged in at registries.
pub struct RegistryUser {
    directory: PathBuf,
}

impl RegistryUser {
    /// The password. It may appear nowhere but in requests to the registry.
    pub const PASSWORD: &str = "a-password-that-no-output-may-hold";
    /// Base64 of user and password, as requests and the file of logins have it.
    pub const BASIC: &str = "YWRhOmEtcGFzc3dvcmQtdGhhdC1uby1vdXRwdXQtbWF5LWhvbGQ=";
    /// Bcrypt of the password, as docker-registry reads it.
    const HTPASSWD: &str = "ada:$2y$05$abcdefghijklmnopqrstuuuLXUn3MEoiVWys4mogI.akNmxA06A4O\n";

    /// Logs in at these registries, as `docker login` does.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    #[must_use]
    pub fn new(scratch: &Scratch, hosts: &[&str]) -> Self {
        let entries: Vec<String> =
            hosts.iter().map(|host| format!("{host:?}: {{ \"auth\": {:?} }}", Self::BASIC)).collect();
        let directory = scratch.path(&format!("login-{}", hosts.join("-").replace(':', "-")));
        fs::create_dir_all(&directory).expect("the directory of the test can be written");
        let file = format!("{{ \"auths\": {{ {} }} }}", entries.join(", "));
        fs::write(directory.join("config.json"), file).expect("the directory of the test can be written");
        Self { directory }
    }

    /// Runs a `herd` command as this user.
    ///
    /// # Panics
    ///
    /// If the command does not start, or shows the password.
    #[track_caller]
    pub fn run(&self, herd: &Herd, arguments: &[&str]) -> Output {
        let mut command = herd.command(arguments);
        command.env("DOCKER_CONFIG", &self.directory).env_remove("REGISTRY_AUTH_FILE");
        let output = crate::process::output(command, &format!("herd {}", arguments.join(" ")));
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            assert!(!text.contains(Self::PASSWORD) && !text.contains(Self::BASIC), "it shows the password: {text}");
        }
        output
    }

    /// Runs a `herd` command as this user, and returns the last line that it printed, or its error.
    ///
    /// # Errors
    ///
    /// The standard error of the command.
    #[track_caller]
    pub fn ask(&self, herd: &Herd, arguments: &[&str]) -> Result<String, String> {
        let output = self.run(herd, arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout).lines().last().unwrap_or_default().into()),
            false => Err(text(&output.stderr)),
        }
    }

    /// Pushes a guest, and returns the reference that `herd push` printed.
    ///
    /// # Errors
    ///
    /// The standard error of the command.
    #[track_caller]
    pub fn push(&self, herd: &Herd, guest: &Path, reference: &str, arguments: &[&str]) -> Result<String, String> {
        self.ask(herd, &[&["push", &guest.to_string_lossy(), reference], arguments].concat())
    }
}

/// Returns the host of an address, for references.
pub(crate) fn host_of(address: SocketAddr) -> String {
    address.to_string()
}
