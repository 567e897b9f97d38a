//! Places where the admin socket of a node may be.
//!
//! A node takes the first place that it can use; the command line looks into all of them, because its environment may differ from that of
//! the node. Reads environment variables; creates nothing. Bound: five directories.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use herd_model::Digest;
use herd_sys::file_name;

/// Directories for the sockets of a herd, in the order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SocketPlaces {
    /// Directory of the service, as systemd creates it.
    runtime: Option<PathBuf>,
    /// Directory of the user's session, which no other user can enter.
    session: Option<PathBuf>,
    /// False if that belongs to somebody else: `sudo` may keep the variable.
    session_is_own: bool,
    /// Directories that a node may have had in its environment, and the command line has not.
    usual: Vec<PathBuf>,
    /// Directory in that of the herd's state.
    state: PathBuf,
}

impl SocketPlaces {
    /// Returns the places for a herd with this state directory.
    pub(super) fn of(state: &Path) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let is_own = |path: &Path| path.metadata().is_ok_and(|metadata| metadata.uid() == uid);
        Self::with(state, uid, |name| std::env::var_os(name), is_own)
    }

    fn with(
        state: &Path,
        uid: u32,
        variable: impl Fn(&str) -> Option<OsString>,
        is_own: impl Fn(&Path) -> bool,
    ) -> Self {
        let state = canonical(state);
        // Herds of one name with different state directories are different herds.
        let digest = Digest::of(state.as_os_str().as_bytes()).to_string();
        let herd = state.file_name().map_or("herd".into(), |name| name.to_string_lossy().into_owned());
        let leaf = format!("{herd}-{}", &digest[..DIGITS]);
        let set = |name| variable(name).filter(|value| !value.is_empty());
        // systemd separates several directories by colons.
        let first = |paths: OsString| paths.as_bytes().split(|byte| *byte == b':').next().map(path);
        let session = set("XDG_RUNTIME_DIR").map(PathBuf::from);
        let session_is_own = session.as_deref().is_some_and(is_own);
        let session = session.map(|base| base.join("herd").join(&leaf));
        let of_the_user = session.is_none().then(|| PathBuf::from(format!("/run/user/{uid}/herd")).join(&leaf));
        Self {
            runtime: set("RUNTIME_DIRECTORY").and_then(first).map(|base| base.join(&leaf)),
            usual: of_the_user.into_iter().chain([Path::new("/run/herd").join(&leaf)]).collect(),
            session,
            session_is_own,
            state: state.join("admin"),
        }
    }

    /// Places for the socket of a node. `for_group`: members of a group have to reach it.
    pub(super) fn for_node(&self, for_group: bool) -> Vec<&Path> {
        let session = self.session.as_ref().filter(|_| self.session_is_own && !for_group);
        self.runtime.iter().chain(session).chain([&self.state]).map(PathBuf::as_path).collect()
    }

    /// Places where the command line looks.
    pub(super) fn for_client(&self) -> Vec<Place<'_>> {
        let named = self.runtime.iter().chain(&self.session).map(|path| Place { path, is_guess: false });
        let usual = self.usual.iter().map(|path| Place { path, is_guess: true });
        named.chain(usual).chain([Place { path: &self.state, is_guess: false }]).collect()
    }
}

/// Place where the command line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    /// True if neither the environment nor the configuration names it, so that it may be that of others.
    pub(super) is_guess: bool,
}

/// Returns the name of the socket of a node. Two nodes of a herd have two names.
pub(super) fn socket_name(node: &str) -> String {
    let name = file_name::of(node);
    // Escaped, a name may be longer than the address of a socket.
    let name = if name.len() <= NAME_BYTES_MAX { name } else { Digest::of(node.as_bytes()).to_string() };
    format!("{name}.sock")
}

/// Resolves links of the directory around the state directory, which exists before any node or command of the herd, so that all of them
/// get the same path.
fn canonical(state: &Path) -> PathBuf {
    let (Some(base), Some(name)) = (state.parent(), state.file_name()) else { return state.into() };
    let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let base = base.canonicalize().or_else(|_| std::path::absolute(base)).unwrap_or_else(|_| base.into());
    base.join(name)
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// Digits of the digest of the state directory: enough to tell apart the herds of one user.
const DIGITS: usize = 16;
/// Longest escaped name of a node that is the name of its socket. The digest of a longer one has as many characters.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use herd_model::limits::NODE_NAME_BYTES_MAX;

    use super::*;

    fn places(state: &Path, variables: &[(&str, &str)]) -> SocketPlaces {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
        SocketPlaces::with(state, 1000, value, |path| path == Path::new("/run/user/7"))
    }

    #[test]
    fn socket_is_in_the_service_then_the_session_then_the_state_directory() {
        let base = tempfile::tempdir().unwrap();
        let state = base.path().canonicalize().unwrap().join("berlin");
        let all = places(&state, &[("RUNTIME_DIRECTORY", "/run/herd:/run/other"), ("XDG_RUNTIME_DIR", "/run/user/7")]);
        let leaf = all.for_node(false)[0].file_name().unwrap().to_str().unwrap().to_string();
        assert!(leaf.starts_with("berlin-") && leaf.len() == "berlin-".len() + DIGITS, "{leaf}");
        let (service, session, own) =
            (Path::new("/run/herd").join(&leaf), Path::new("/run/user/7/herd").join(&leaf), state.join("admin"));
        assert_eq!(all.for_node(false), [&*service, &*session, &*own]);
        assert_eq!(all.for_node(true), [&*service, &*own], "no group can enter the directory of a session");
        for of_nobody in ["", "/run/user/8"] {
            assert_eq!(places(&state, &[("XDG_RUNTIME_DIR", of_nobody)]).for_node(false), [&*own], "{of_nobody}");
        }
        let user = Path::new("/run/user/1000/herd").join(&leaf);
        let wanted =
            [(&*user, true), (&*service, true), (&*own, false)].map(|(path, is_guess)| Place { path, is_guess });
        assert_eq!(places(&state, &[]).for_client(), wanted, "whatever the node had");
    }

    #[test]
    fn socket_of_two_herds_of_one_name_is_in_two_directories_and_of_one_herd_in_one() {
        let base = tempfile::tempdir().unwrap();
        let (first, second) = (base.path().join("a"), base.path().join("b"));
        std::fs::create_dir(&first).unwrap();
        std::fs::create_dir(&second).unwrap();
        std::os::unix::fs::symlink(&first, base.path().join("link")).unwrap();
        let of = |state: PathBuf| places(&state, &[("XDG_RUNTIME_DIR", "/run/user/7")]);
        assert_ne!(of(first.join("herd")).session, of(second.join("herd")).session);
        for same in ["a/../a/herd", "link/herd", "b/../link/herd"] {
            assert_eq!(of(first.join("herd")), of(base.path().join(same)), "{same}");
        }
    }

    #[test]
    fn socket_of_every_node_has_a_name_that_fits_into_an_address() {
        assert_eq!(socket_name("Riley"), "Riley.sock");
        let longest = ["/".repeat(NODE_NAME_BYTES_MAX), format!("{}.", "/".repeat(NODE_NAME_BYTES_MAX - 1))];
        let names = longest.map(|node| socket_name(&node));
        assert_ne!(names[0], names[1]);
        assert!(names.iter().all(|name| "/proc/self/fd/1234567890/".len() + name.len() < 108), "{names:?}");
    }
}
