//! Signed code of guests on the disk of a node, for itself and for neighbours that do not compile.
//!
//! An operator brings it with a bundle. Its signatures verify it, so the files need no other protection: each is judged when it is used.
//! Owns the directory and the names of files. Bounds: the newest [`FILES_MAX`] files.

use std::io;
use std::path::Path;
use std::sync::Arc;

use herd_code::{CODE_FILE_BYTES_MAX, CompiledCode, Wanted};
use herd_model::Digest;
use herd_runtime::CodeTarget;
use herd_sys::{FileStore, file_bytes_max, file_name};

/// Signed code of a node.
#[derive(Clone, Debug)]
pub(crate) struct CodeStore {
    node: Arc<str>,
    files: FileStore,
}

impl CodeStore {
    /// Store of a node, in the state directory of its herd. Touches no file.
    pub(crate) fn new(state: &Path, node: &str) -> Self {
        Self { node: node.into(), files: FileStore::new(state.join(DIRECTORY).join(file_name::of(node)), FILES_MAX) }
    }

    /// Stores code, in place of earlier code of the same guest for the same target and compiler.
    ///
    /// # Errors
    ///
    /// The disk fails. Nothing changed.
    pub(crate) fn write(&self, code: &CompiledCode) -> io::Result<()> {
        let Wanted { guest, target, compiler } = &code.of;
        let kind = Digest::of(format!("{target}\n{compiler}").as_bytes()).short();
        self.files.write(&format!("{guest}-{kind}.code"), &[&code.encode()])
    }

    /// Finds code that runs where `wanted` says, and that `accepts` takes: of several, that which uses most of the processor.
    pub(crate) fn find(&self, wanted: &Wanted, accepts: impl Fn(&CompiledCode) -> bool) -> Option<CompiledCode> {
        let own: CodeTarget = wanted.target.parse().ok()?;
        let codes = self.codes_of(wanted.guest).filter_map(|code| {
            let target: CodeTarget = code.of.target.parse().ok()?;
            let fits = code.of.compiler == wanted.compiler && own.check_runs(&target).is_ok();
            (fits && accepts(&code)).then_some((target, code))
        });
        // One that runs another's code uses at least as much of the processor.
        let best = codes.reduce(|best, next| if next.0.check_runs(&best.0).is_ok() { next } else { best });
        best.map(|(_, code)| code)
    }

    /// Returns what the code of a guest is for that this node has and cannot use. Reads the files.
    pub(crate) fn unfit(&self, wanted: &Wanted) -> Vec<Wanted> {
        let own = wanted.target.parse::<CodeTarget>().ok();
        let runs = |code: &Wanted| {
            let target = code.target.parse().ok();
            code.compiler == wanted.compiler
                && own.as_ref().zip(target).is_some_and(|(own, target)| own.check_runs(&target).is_ok())
        };
        self.codes_of(wanted.guest).map(|code| code.of).filter(|code| !runs(code)).collect()
    }

    /// Reads the code of a guest, as far as there is memory for it.
    fn codes_of(&self, guest: Digest) -> impl Iterator<Item = CompiledCode> {
        let entries = std::fs::read_dir(self.files.directory()).into_iter().flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let prefix = format!("{guest}-");
        let bytes_max = CODE_FILE_BYTES_MAX.min(file_bytes_max(COPIES)) as u64;
        paths.filter_map(move |path| {
            path.file_name().filter(|name| name.to_string_lossy().starts_with(&prefix))?;
            let bytes = std::fs::metadata(&path).ok()?.len();
            if bytes > bytes_max {
                let path = path.display();
                tracing::warn!(node = %self.node, %path, bytes, "signed code of a guest is passed over: there is no memory for it");
                return None;
            }
            let code = CompiledCode::decode(&std::fs::read(&path).ok()?).ok()?;
            (code.of.guest == guest).then_some(code)
        })
    }
}

const DIRECTORY: &str = "signed-code";
/// Copies of a file in memory while it is loaded: its bytes, its code, and what the engine makes of that.
const COPIES: u64 = 3;
/// The targets of a fleet for the guests of the last swaps; 0.7 MiB each.
const FILES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn code(target: &str, compiler: &str) -> CompiledCode {
        let of = Wanted { guest: Digest::of(b"guest"), target: target.into(), compiler: compiler.into() };
        CompiledCode { of, code: target.as_bytes().to_vec(), signatures: Vec::new() }
    }

    #[test]
    fn code_store_finds_the_code_that_uses_most_of_the_processor() {
        let state = tempfile::tempdir().unwrap();
        let store = CodeStore::new(state.path(), "Riley");
        let wanted = |target: &str| Wanted { target: target.into(), ..code("", "c 1").of };
        assert_eq!(store.find(&wanted("x86_64-linux+v3"), |_| true), None);
        for target in ["x86_64-linux", "x86_64-linux+v3", "x86_64-linux+v2", "aarch64-linux"] {
            store.write(&code(target, "c 1")).unwrap();
        }
        store.write(&code("x86_64-linux+v3", "c 2")).unwrap();
        let found = |target: &str| store.find(&wanted(target), |_| true).map(|code| code.of.target);
        assert_eq!(found("x86_64-linux+v3+avx512f").as_deref(), Some("x86_64-linux+v3"));
        assert_eq!(found("x86_64-linux+v2").as_deref(), Some("x86_64-linux+v2"));
        assert_eq!(found("x86_64-linux").as_deref(), Some("x86_64-linux"));
        assert_eq!(found("x86_64-linux+v3+small"), None, "other reservations");
        let of_another = store.unfit(&wanted("x86_64-linux+v2"));
        let mut of_another: Vec<_> = of_another.iter().map(|of| (&*of.target, &*of.compiler)).collect();
        of_another.sort_unstable();
        let expected = [("aarch64-linux", "c 1"), ("x86_64-linux+v3", "c 1"), ("x86_64-linux+v3", "c 2")];
        assert_eq!(of_another, expected, "what a refusal names");
        let unsigned = |code: &CompiledCode| code.of.target != "x86_64-linux+v3";
        let found = store.find(&wanted("x86_64-linux+v3"), unsigned).map(|code| code.of.target);
        assert_eq!(found.as_deref(), Some("x86_64-linux+v2"), "what is not accepted is passed over");
    }
}
