//! Memory that the host grants to this process, and how much of it is in use.
//!
//! Reads control groups of both versions and `/proc`; changes nothing. Knows nothing of sessions and records: it says how much there is and
//! whether it is short, and they refuse. Bounds: the depth of a control group, and the bytes of a file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Memory that this process may use, and the files that say how much is in use.
///
/// ```
/// use herd_sys::HostMemory;
///
/// if let Some(memory) = HostMemory::read() {
///     assert!(memory.bytes_max() > 0);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMemory {
    bytes_max: u64,
    group: Option<MemoryGroup>,
    root: PathBuf,
}

/// A control group with a limit on memory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MemoryGroup {
    directory: PathBuf,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl HostMemory {
    /// Reads the limit: the lowest of the control groups of this process, or the memory of the machine if that is less. None if the system
    /// says neither.
    #[must_use]
    pub fn read() -> Option<Self> {
        Self::read_in(Path::new("/"))
    }

    /// Reads the limit in a file system below this directory, for tests.
    #[must_use]
    pub fn read_in(root: &Path) -> Option<Self> {
        let machine = meminfo(root, "MemTotal:");
        let group = MemoryGroup::strictest(root);
        match (machine, group) {
            // Without a limit of its own a group says a number beyond all memory, or `max`.
            (machine, Some((group, bytes))) if machine.is_none_or(|machine| bytes < machine) => {
                Some(Self { bytes_max: bytes, group: Some(group), root: root.into() })
            }
            (Some(bytes_max), _) => Some(Self { bytes_max, group: None, root: root.into() }),
            (None, _) => None,
        }
    }

    /// Returns the limit, in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Returns what sets the limit, for people.
    #[must_use]
    pub fn set_by(&self) -> &'static str {
        if self.group.is_some() { "control group" } else { "machine" }
    }

    /// Returns the bytes in use that cannot be given back at once: pages of files can, and do not count. None if the system does not say.
    #[must_use]
    pub fn bytes_used(&self) -> Option<u64> {
        match &self.group {
            Some(group) => group.bytes_used(),
            None => Some(self.bytes_max.saturating_sub(meminfo(&self.root, "MemAvailable:")?)),
        }
    }

    /// Returns the bytes above which memory is short: an eighth of the limit is kept for what cannot be refused, at least what a node
    /// allocates while it takes notice, and no more than it needs for that on a large machine, which others may fill.
    #[must_use]
    pub fn bytes_short(&self) -> u64 {
        self.bytes_max.saturating_sub(self.reserve())
    }

    /// Returns the length of the longest file of which there is memory for so many copies, in bytes. One of 4 MiB always has
    /// room: it fits into the reserve. None if the system does not say.
    #[must_use]
    pub fn file_bytes_max(&self, copies: u64) -> Option<u64> {
        let free = self.bytes_short().saturating_sub(self.bytes_used()?);
        Some((free / copies.max(1)).max(FILE_BYTES_MIN))
    }

    fn reserve(&self) -> u64 {
        (self.bytes_max / 8).clamp(RESERVE_BYTES_MIN, RESERVE_BYTES_MAX)
    }

    /// Tests whether the memory is that of a small host, where a node has to count it.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.bytes_max < SMALL_BYTES
    }

    /// Returns how often to look: what one processor can allocate in the meantime has to fit into the reserve.
    #[must_use]
    pub fn interval(&self) -> Duration {
        if self.is_small() { Duration::from_millis(20) } else { Duration::from_millis(250) }
    }

    /// Looks once, and notes whether memory is short, for [`memory_is_short`]. Returns true if that has changed. It stays short until
    /// half as much again as the reserve is free, so that it does not change with every connection.
    pub fn watch(&self) -> bool {
        let Some(used) = self.bytes_used() else { return false };
        let short = self.bytes_short();
        let was = SHORT.load(Ordering::Relaxed);
        let is = if was { used > short.saturating_sub(self.reserve() / 2) } else { used > short };
        SHORT.swap(is, Ordering::Relaxed) != is
    }
}

/// Returns the length of the longest file of which this process has memory for so many copies now, in bytes.
#[must_use]
pub fn file_bytes_max(copies: u64) -> usize {
    let bytes = HostMemory::read().and_then(|memory| memory.file_bytes_max(copies));
    bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Tests whether the memory of this process was short when [`HostMemory::watch`] last looked. False if nobody looks.
#[must_use]
#[inline]
pub fn memory_is_short() -> bool {
    // Relaxed: nothing else is read on the strength of it.
    SHORT.load(Ordering::Relaxed)
}

impl MemoryGroup {
    /// Finds the group with the lowest limit among that of this process and those above it.
    fn strictest(root: &Path) -> Option<(Self, u64)> {
        let own = read(&root.join("proc/self/cgroup"))?;
        let mut strictest: Option<(Self, u64)> = None;
        for line in own.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            let (version, mounts): (_, &[&str]) = match controllers {
                "" => (Version::Two, &["sys/fs/cgroup", "sys/fs/cgroup/unified"]),
                names if names.split(',').any(|name| name == "memory") => (Version::One, &["sys/fs/cgroup/memory"]),
                _ => continue,
            };
            for mount in mounts.iter().map(|mount| root.join(mount)) {
                // Where a container sees only its own groups, the path may be that of the host: then the group is the mount itself.
                let below = path.trim_start_matches('/');
                let ancestors = Path::new(below).ancestors().take(DEPTH_MAX).map(|above| mount.join(above));
                for directory in ancestors {
                    let group = Self { directory, version };
                    if let Some(bytes) = group.limit()
                        && strictest.as_ref().is_none_or(|(_, lowest)| bytes < *lowest)
                    {
                        strictest = Some((group, bytes));
                    }
                }
            }
        }
        strictest
    }

    /// Reads the limit. None: there is none, or no such group.
    fn limit(&self) -> Option<u64> {
        match self.version {
            // Above `high` the kernel slows the process down to a crawl, so that is a limit too.
            Version::Two => ["memory.max", "memory.high"].iter().filter_map(|name| self.number(name)).min(),
            Version::One => self.number("memory.limit_in_bytes"),
        }
    }

    fn bytes_used(&self) -> Option<u64> {
        let (current, names) = match self.version {
            Version::Two => ("memory.current", ["inactive_file", "active_file"]),
            Version::One => ("memory.usage_in_bytes", ["total_inactive_file", "total_active_file"]),
        };
        let files = read(&self.directory.join("memory.stat"))?;
        let of_files = |name| field(&files, name).unwrap_or(0);
        Some(self.number(current)?.saturating_sub(names.map(of_files).iter().sum()))
    }

    fn number(&self, name: &str) -> Option<u64> {
        read(&self.directory.join(name))?.trim().parse().ok()
    }
}

fn meminfo(root: &Path, name: &str) -> Option<u64> {
    field(&read(&root.join("proc/meminfo"))?, name).map(|kib| kib << 10)
}

/// Returns the number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| words.next().filter(|word| *word == name).and(words.next()))?.parse().ok()
}

fn read(file: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(file).ok()?.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

static SHORT: AtomicBool = AtomicBool::new(false);

/// Memory that a node allocates between two looks, at 20 ms, in which reports of one processor at full speed need some 3 MiB; and what an answer to
/// `herd status` takes for a moment: with 8 MiB, and 590,000 records in 128 MiB, the kernel ended the node at the next one.
const RESERVE_BYTES_MIN: u64 = 16 << 20;

/// Many times what is allocated between two looks at 250 ms.
const RESERVE_BYTES_MAX: u64 = 128 << 20;

/// Limits below this are looked at often: with more, the reserve is larger than anything allocated in a quarter of a second.
const SMALL_BYTES: u64 = 2 << 30;
/// A few copies of a file of this length fit into the least reserve. The guest in the program and most guests in Rust are shorter.
const FILE_BYTES_MIN: u64 = 4 << 20;

/// Groups are nested a few deep.
const DEPTH_MAX: usize = 32;

const FILE_BYTES_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// A file system with these files.
    fn tree(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:  1048576 kB\nMemFree: 1 kB\nMemAvailable:  262144 kB\n");
    const MIB: u64 = 1 << 20;

    #[test]
    fn host_memory_is_the_lowest_limit_of_the_groups_of_version_two() {
        let root = tree(&[
            MACHINE,
            ("proc/self/cgroup", "0::/system.slice/herd.service\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "268435456\n"),
            ("sys/fs/cgroup/system.slice/herd.service/memory.max", "max\n"),
            ("sys/fs/cgroup/system.slice/herd.service/memory.high", "134217728\n"),
            ("sys/fs/cgroup/system.slice/herd.service/memory.current", "104857600\n"),
            (
                "sys/fs/cgroup/system.slice/herd.service/memory.stat",
                "anon 1\ninactive_file 10485760\nactive_file 10485760\n",
            ),
        ]);
        let memory = HostMemory::read_in(root.path()).unwrap();
        assert_eq!((memory.bytes_max(), memory.set_by()), (128 * MIB, "control group"));
        assert_eq!(memory.bytes_used(), Some(80 * MIB), "pages of files can be given back");
        assert_eq!((memory.bytes_short(), memory.interval()), (112 * MIB, Duration::from_millis(20)));
    }

    #[test]
    fn host_memory_is_read_from_groups_of_version_one_and_in_a_container_that_sees_only_its_own() {
        let unlimited = "9223372036854771712\n";
        let root = tree(&[
            MACHINE,
            ("proc/self/cgroup", "9:name=systemd:/\n4:memory,hugetlb:/docker/1f\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "104857600\n"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 5\ntotal_inactive_file 41943040\n"),
        ]);
        let memory = HostMemory::read_in(root.path()).unwrap();
        assert_eq!((memory.bytes_max(), memory.bytes_used()), (128 * MIB, Some(60 * MIB)));
        fs::write(root.path().join("sys/fs/cgroup/memory/memory.limit_in_bytes"), unlimited).unwrap();
        let memory = HostMemory::read_in(root.path()).unwrap();
        assert_eq!((memory.bytes_max(), memory.set_by()), (1024 * MIB, "machine"));
        assert_eq!((memory.bytes_used(), memory.bytes_short()), (Some(768 * MIB), 896 * MIB));
    }

    #[test]
    fn host_memory_has_room_for_copies_of_a_file_in_what_is_left() {
        let root = tree(&[
            MACHINE,
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "134217728\n"),
            ("sys/fs/cgroup/memory.current", "54525952\n"),
            ("sys/fs/cgroup/memory.stat", "inactive_file 0\nactive_file 0\n"),
        ]);
        let memory = HostMemory::read_in(root.path()).unwrap();
        assert_eq!(memory.file_bytes_max(3), Some(20 * MIB), "60 of the 112 MiB below the reserve are left");
        assert_eq!(memory.file_bytes_max(60), Some(FILE_BYTES_MIN));
    }

    #[test]
    fn host_memory_is_unknown_where_the_system_says_nothing() {
        assert_eq!(HostMemory::read_in(tree(&[]).path()), None);
        let odd = tree(&[("proc/self/cgroup", "nonsense\n0::\n"), ("proc/meminfo", "MemTotal: many kB\n")]);
        assert_eq!(HostMemory::read_in(odd.path()), None);
    }

    #[test]
    fn host_memory_is_short_above_its_reserve_and_until_it_is_well_below() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "134217728\n"),
            ("sys/fs/cgroup/memory.stat", "\n"),
        ]);
        let used =
            |mib: u64| fs::write(root.path().join("sys/fs/cgroup/memory.current"), (mib * MIB).to_string()).unwrap();
        used(112);
        let memory = HostMemory::read_in(root.path()).unwrap();
        for (mib, changes, short) in [(112, false, false), (113, true, true), (105, false, true), (104, true, false)] {
            used(mib);
            assert_eq!((memory.watch(), memory_is_short()), (changes, short), "{mib} MiB");
        }
    }
}
