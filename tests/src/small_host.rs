//! A host with little memory and one processor, made of a control group, for processes of tests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Herd, Process};

/// A control group with a limit on memory. Removed on drop, which comes after the end of its processes.
pub struct SmallHost {
    group: PathBuf,
    version_two: bool,
}

impl SmallHost {
    /// Makes a group of this size, of whichever version the system has.
    ///
    /// # Errors
    ///
    /// This user, or a process in this place, may not make groups.
    pub fn new(mib: u64) -> io::Result<Self> {
        let bytes = (mib << 20).to_string();
        let name = format!("herd-tests-{}", std::process::id());
        let old = Path::new("/sys/fs/cgroup/memory");
        let version_two = !old.exists();
        let parent = if version_two { Path::new("/sys/fs/cgroup") } else { old };
        let this = Self { group: parent.join(name), version_two };
        fs::create_dir(&this.group)?;
        if version_two {
            fs::write(this.group.join("memory.max"), bytes)?;
            // Swap would hide that memory is short; without it the file is missing.
            let _ = fs::write(this.group.join("memory.swap.max"), "0");
        } else {
            fs::write(this.group.join("memory.limit_in_bytes"), &bytes)?;
            let _ = fs::write(this.group.join("memory.memsw.limit_in_bytes"), &bytes);
        }
        Ok(this)
    }

    /// Starts a node in the group, on one processor, and waits until it accepts clients.
    ///
    /// # Panics
    ///
    /// If the node is not ready in time.
    #[must_use]
    #[track_caller]
    pub fn run(&self, herd: &Herd, node: &str) -> Process {
        let script = format!("echo $$ > {}/cgroup.procs && exec taskset -c 0 \"$0\" \"$@\"", self.group.display());
        herd.run_through("sh", &["-c", &script], node)
    }

    /// Returns how many processes the kernel has killed for want of memory.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    pub fn killed(&self) -> io::Result<u64> {
        let file = if self.version_two { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.group.join(file))?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        count.ok_or_else(|| io::Error::other("no count of killed processes"))
    }

    /// Returns the most memory that the group had in use, with pages of files, in MiB. None if the kernel does not say.
    #[must_use]
    pub fn peak_mib(&self) -> Option<u64> {
        let file = if self.version_two { "memory.peak" } else { "memory.max_usage_in_bytes" };
        Some(fs::read_to_string(self.group.join(file)).ok()?.trim().parse::<u64>().ok()? >> 20)
    }
}

impl Drop for SmallHost {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.group);
    }
}
