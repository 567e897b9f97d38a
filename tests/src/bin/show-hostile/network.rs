//! Hosts in namespaces of their own for network and mounts, joined by a bridge, with names that all of them know.
//!
//! Works in the namespaces of the run, which the script makes; everything is gone with them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use herd_tests::{Herd, Process, Scratch};

/// A host: a process that holds its namespaces, a directory of its user, and the commands that were typed there.
pub(crate) struct NetworkHost {
    /// Directory in which commands run: the home of the user.
    pub(crate) home: PathBuf,
    holder: Child,
    scratch: Scratch,
}

/// Joins hosts by a bridge. Each has an IPv4 and an IPv6 address; `names` are the lines of their file of names.
pub(crate) fn join(count: usize, names: &str) -> Result<Vec<NetworkHost>> {
    ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["link", "set", BRIDGE, "up"])?;
    (1..=count).map(|number| NetworkHost::join(number, names)).collect()
}

impl NetworkHost {
    fn join(number: usize, names: &str) -> Result<Self> {
        let scratch = Scratch::new();
        let hosts = scratch.write("hosts", names);
        let home = scratch.path("home");
        std::fs::create_dir(&home)?;
        let script = format!("mount --bind {} /etc/hosts && echo ready && exec sleep infinity", hosts.display());
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .context("unshare is not there; it is part of util-linux")?;
        let mut ready = String::new();
        BufReader::new(holder.stdout.take().context("its output is piped")?).read_line(&mut ready)?;
        ensure!(ready == "ready\n", "no namespaces for a host; start it by tests/show/hostile");
        let host = Self { home, holder, scratch };
        let (id, outside) = (host.holder.id().to_string(), format!("host{number}"));
        ip(&["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &id])?;
        ip(&["link", "set", &outside, "master", BRIDGE, "up"])?;
        for inside in [
            "ip link set lo up".to_string(),
            "ip link set eth0 up".to_string(),
            format!("ip address add {} dev eth0", address(number)),
            // Without the second that a search for duplicates takes.
            format!("ip address add {} dev eth0 nodad", address_ipv6(number)),
        ] {
            host.run(&inside)?;
        }
        Ok(host)
    }

    /// Runs a command, as its user would type it in the home directory, and returns its output.
    ///
    /// # Errors
    ///
    /// It fails. The error has what it printed.
    pub(crate) fn run(&self, command: &str) -> Result<String> {
        let Output { status, stdout, stderr } = self.output(command)?;
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        ensure!(status.success(), "{command}: {status}\n{stdout}{stderr}");
        Ok(stdout.into())
    }

    /// Starts a command that goes on, as its user would type it.
    pub(crate) fn start(&self, command: &str) -> Process {
        let arguments = self.arguments(&format!("exec {command} 2>>log"));
        Process::of(Path::new("nsenter"), &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Carries a file to another host.
    pub(crate) fn carry(&self, file: &str, to: &Self) -> Result<()> {
        std::fs::copy(self.home.join(file), to.home.join(file)).with_context(|| file.to_string())?;
        Ok(())
    }

    fn output(&self, command: &str) -> Result<Output> {
        let output = Command::new("nsenter").args(self.arguments(command)).stdin(Stdio::null()).output();
        output.context("nsenter is not there; it is part of util-linux")
    }

    fn arguments(&self, command: &str) -> Vec<String> {
        let (home, binary) = (self.home.display(), Herd::binary());
        let path = binary.parent().unwrap_or(Path::new(".")).display();
        let script = format!("cd {home} && {command}");
        let target = self.holder.id().to_string();
        let home = format!("HOME={home}");
        let path = format!("PATH={path}:/usr/sbin:/usr/bin:/sbin:/bin");
        ["--target", &target, "--net", "--mount", "env", "-i", &home, &path, "sh", "-c", &script].map(Into::into).into()
    }
}

impl Drop for NetworkHost {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        if std::thread::panicking() {
            eprintln!("the files of a host were in {}", self.scratch.directory().display());
        }
    }
}

fn address(number: usize) -> String {
    format!("10.77.0.{number}/24")
}

fn address_ipv6(number: usize) -> String {
    format!("fd77::{number}/64")
}

pub(crate) fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("ip is not there; as root type: apt-get install iproute2")?;
    ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

const BRIDGE: &str = "bridge0";
