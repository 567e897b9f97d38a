//! State directory and keys: whose they are, and who can read and write them. And the open files that the node may have.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use herd_identity::{StateIdentities, credentials_path};
use herd_sys::{accounts, file_name};
use rustix::fs::{Access, access};

use super::super::open_files::OpenFiles;
use super::super::shell_word::shell_word;
use super::CheckedNode;
use super::finding::Finding;

pub(super) fn look(checked: CheckedNode<'_>) -> Vec<Finding> {
    let mut findings = state(checked.state);
    if let Ok(directory) = checked.state.metadata() {
        findings.extend(keys(checked, &directory));
    }
    findings.push(open_files(checked));
    findings
}

fn state(state: &Path) -> Vec<Finding> {
    let Ok(directory) = state.metadata() else {
        // The nearest directory that is there has to take it.
        let there = state.ancestors().skip(1).find(|directory| directory.exists()).unwrap_or(Path::new("/"));
        return vec![match access(there, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Finding::ok(STATE, format!("{} is made by the first start", state.display())),
            Err(error) => {
                Finding::fault(STATE, format!("{} cannot be made in {}: {error}", state.display(), there.display()))
                    .fix("set `state_dir` in the configuration to a directory of the user of the node")
            }
        }];
    };
    let (path, typed) = (state.display(), shell_word(&state.to_string_lossy()));
    let (own, owner) = (rustix::process::geteuid().as_raw(), user(directory.uid()));
    if directory.uid() != own {
        let finding = format!("{path} belongs to {owner}, and this is {}", user(own));
        return vec![
            Finding::fault(STATE, finding)
                .fix(format!("run the node and this as {owner}: sudo -u {} herd doctor", shell_word(&owner))),
        ];
    }
    let mode = directory.permissions().mode();
    if mode & 0o022 != 0 {
        return vec![
            Finding::fault(STATE, format!("other users can write to {path}")).fix(format!("chmod go-w {typed}")),
        ];
    }
    vec![match access(state, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok(STATE, format!("{path} belongs to {owner}, who alone can write to it")),
        Err(error) => Finding::fault(STATE, format!("{path} cannot be written to: {error}")),
    }]
}

/// Looks at the files that nobody else may read. Those that are missing are made, or told of elsewhere.
fn keys(checked: CheckedNode<'_>, directory: &Metadata) -> Vec<Finding> {
    let state = checked.state;
    let authority = StateIdentities::new(state, &checked.herd.herd).authority_directory().join("authority.pem");
    let files = [
        credentials_path(state, checked.name),
        authority,
        state.join("admin.token"),
        state.join("audit-keys").join(file_name::of(checked.name)),
    ];
    let (mut there, mut findings): (Vec<PathBuf>, Vec<Finding>) = (Vec::new(), Vec::new());
    for file in files {
        let Ok(metadata) = file.metadata() else { continue };
        let (path, typed) = (file.display(), shell_word(&file.to_string_lossy()));
        if metadata.permissions().mode() & 0o077 != 0 {
            findings
                .push(Finding::fault(KEYS, format!("other users may read {path}")).fix(format!("chmod 600 {typed}")));
        } else if metadata.uid() != directory.uid() {
            let owner = user(directory.uid());
            // A number in place of a name, which `chown` does not know with the `#` of sudo.
            let typed_owner = accounts::user_name(directory.uid()).unwrap_or_else(|| directory.uid().to_string());
            findings.push(
                Finding::fault(
                    KEYS,
                    format!("{path} belongs to {}, and the state directory to {owner}", user(metadata.uid())),
                )
                .fix(format!("sudo chown {}: {typed}", shell_word(&typed_owner))),
            );
        } else {
            there.push(file);
        }
    }
    if findings.is_empty() && !there.is_empty() {
        let names: Vec<_> = there.iter().filter_map(|file| file.strip_prefix(state).ok()?.to_str()).collect();
        findings.push(Finding::ok(KEYS, format!("{}: their owner alone can read them", names.join(", "))));
    }
    findings
}

fn open_files(checked: CheckedNode<'_>) -> Finding {
    let files = OpenFiles::of(checked.herd, checked.name);
    let (reserve, wanted, sessions) = (files.reserve, files.wanted(), checked.herd.sessions.sessions_max);
    match files.limit {
        Some(limit) if limit < wanted => {
            let clients = files.clients_max();
            Finding::warn(
                OPEN_FILES,
                format!(
                    "a process of this user may have {limit}, which leaves {clients} for clients; `sessions.sessions_max` is {sessions}, and the \
                     node needs {reserve} besides"
                ),
            )
            .fix(format!("ulimit -Hn {wanted}, or LimitNOFILE={wanted} in the unit of systemd, or lower `sessions.sessions_max`"))
        }
        Some(limit) => Finding::ok(
            OPEN_FILES,
            format!("{limit} are enough for {sessions} sessions and {reserve} of the node itself"),
        ),
        None => Finding::ok(OPEN_FILES, "no limit"),
    }
}

fn user(uid: u32) -> String {
    accounts::user_name(uid).unwrap_or_else(|| format!("#{uid}"))
}

const STATE: &str = "state directory";
const KEYS: &str = "keys";
const OPEN_FILES: &str = "open files";
