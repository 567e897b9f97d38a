//! A machine with a Debian root of its own, whose first process is systemd, in namespaces: what packages are installed on.
//!
//! Knows nothing of packages. Every process of it ends with it. Needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use herd_tests::eventually;

/// A running machine.
pub(crate) struct Machine {
    root: PathBuf,
    /// Parent of systemd, which ends with it.
    unshare: Child,
    systemd: u32,
}

impl Machine {
    /// Makes a root directory of Debian, or empties the one that an earlier run has left, and boots it.
    ///
    /// # Errors
    ///
    /// Debian cannot be fetched, or this process may not make namespaces.
    pub(crate) fn boot(root: &Path) -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "a machine needs root: sudo tests/show/service --only package");
        if root.exists() {
            fs::remove_dir_all(root)?;
        }
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.args(["--variant=minbase", "--include=systemd", "bookworm"]).arg(root);
        finished(debootstrap.output().context("debootstrap (apt-get install debootstrap)")?)?;
        let log = fs::File::create(root.with_extension("log"))?;
        let mut unshare = Command::new("bash")
            .args(["-c", ENTER, BOOT])
            .arg(root)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("unshare")?;
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let systemd = eventually("a first process", || {
            if let Ok(Some(status)) = unshare.try_wait() {
                return Ok(Err(status));
            }
            // Before that there are children that only prepare it.
            let child: u32 =
                fs::read_to_string(&children).unwrap_or_default().trim().parse().map_err(|_| "none yet")?;
            let name = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            if name == "systemd\n" { Ok(Ok(child)) } else { Err(name) }
        });
        let systemd = match systemd {
            Ok(systemd) => systemd,
            Err(status) => bail!("no machine, {status}: {}", fs::read_to_string(root.with_extension("log"))?),
        };
        let machine = Self { root: root.into(), unshare, systemd };
        eventually("systemd", || {
            let state = machine.run(&["systemctl", "is-system-running"]).map_err(|error| error.to_string())?;
            // Degraded: units of the clean root that make no sense here.
            if ["running", "degraded"].contains(&state.trim()) { Ok(()) } else { Err(state) }
        });
        Ok(machine)
    }

    /// Path of a file of the machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Runs a command on the machine as root, and returns what it printed, whatever its exit code.
    pub(crate) fn run(&self, command: &[&str]) -> Result<String> {
        let output = self.command(command).output()?;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Runs a command on the machine as root, and returns what it printed.
    ///
    /// # Errors
    ///
    /// It fails.
    pub(crate) fn done(&self, command: &[&str]) -> Result<String> {
        finished(self.command(command).output()?).with_context(|| command.join(" "))
    }

    fn command(&self, command: &[&str]) -> Command {
        let mut entered = Command::new("nsenter");
        entered.args(["--target", &self.systemd.to_string()]);
        entered.args(["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--root", "--wd", "--"]);
        entered.args(command).stdin(Stdio::null());
        // Nothing of the environment of the show.
        entered.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        entered.env("DEBIAN_FRONTEND", "noninteractive");
        entered
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The first process of a namespace takes all others with it, and ends with `unshare`.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let _ = Command::new("bash").args(["-c", LEAVE]).arg(self.unshare.id().to_string()).status();
    }
}

fn finished(output: Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{}: {text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// Moves to a control group of its own, where systemd makes those of its units, and to new namespaces. `$0` is what to run there.
const ENTER: &str = r#"set -e
group=$(findmnt --noheadings --output TARGET --types cgroup2 | head -1)/herd-show-$$
mkdir "$group"
echo $$ >"$group/cgroup.procs"
exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child bash -c "$0" "$1"
"#;

/// Removes that control group, once the kernel has ended the processes in it.
const LEAVE: &str = r#"
group=$(findmnt --noheadings --output TARGET --types cgroup2 | head -1)/herd-show-$0
for _ in {1..100}; do
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    [ -d "$group" ] || exit 0
    sleep 0.05
done
"#;

/// Makes the root a mount of its own with the file systems of a machine, and becomes systemd.
const BOOT: &str = r#"set -e
root=$0
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
    set -- $node
    mknod -m 666 "dev/$1" c "$2" "$3"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir run/outside
pivot_root . run/outside
umount -l /run/outside
hostname herd-show
exec env -i container=herd-show PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=console --show-status=no
"#;
