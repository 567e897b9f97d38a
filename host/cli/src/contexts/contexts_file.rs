//! The file of the contexts: `herd/contexts.toml` in `XDG_CONFIG_HOME`, or else in `.config` of the home directory.
//!
//! Written whole, with a draft, for its user alone. What it says decides which herd a command reaches, so a file that others can write is
//! refused. Bounds: bytes of the file, contexts.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use herd_sys::{create_private_directory, write_atomically};
use serde::{Deserialize, Serialize};

use super::name::ContextName;

/// Ways to one herd, as the options of the command line name them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Context {
    /// Configuration file. None: the herd of the defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<PathBuf>,
    /// Certificate of an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<PathBuf>,
    /// State directory, in place of that of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// Contexts by name, as the file has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Contexts {
    /// Context of commands that are not told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<ContextName>,
    /// All of them.
    #[serde(rename = "contexts")]
    pub(crate) named: BTreeMap<ContextName, Context>,
}

/// The file and what is in it.
#[derive(Debug)]
pub(crate) struct ContextsFile {
    path: PathBuf,
    pub(crate) contexts: Contexts,
}

impl Context {
    /// Returns the configuration in a word.
    pub(crate) fn configuration(&self) -> String {
        self.config.as_deref().map_or("five nodes on 127.0.0.1".into(), |path| path.display().to_string())
    }
}

impl ContextsFile {
    /// Reads the file of this user. One that is not there has no contexts.
    ///
    /// # Errors
    ///
    /// It cannot be read, is not a file of contexts, or others can write it.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
        // A user without a home, such as that of a service, has no contexts.
        let Some(home) = home else { return Ok(Self { path: PathBuf::new(), contexts: Contexts::default() }) };
        Self::read(home.join("herd").join("contexts.toml"))
    }

    fn read(path: PathBuf) -> anyhow::Result<Self> {
        let named = || path.display().to_string();
        let contexts = match std::fs::File::open(&path) {
            Ok(file) => {
                let mode = file.metadata().with_context(named)?.mode();
                if mode & 0o022 != 0 {
                    bail!(
                        "{} can be written by others, who could send commands to another herd: chmod 600 {0}",
                        path.display()
                    );
                }
                let mut text = String::new();
                file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).with_context(named)?;
                if text.len() as u64 > FILE_BYTES_MAX {
                    bail!("{} has more than {FILE_BYTES_MAX} bytes", path.display());
                }
                parse(&path, &text)?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Contexts::default(),
            Err(error) => return Err(error).with_context(named),
        };
        Ok(Self { path, contexts })
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// It cannot be written, or would have too many contexts. It has its old content.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let Some(directory) = self.path.parent() else {
            bail!("no home directory; set XDG_CONFIG_HOME in the environment");
        };
        if self.contexts.named.len() > CONTEXTS_MAX {
            bail!(
                "{} has {CONTEXTS_MAX} contexts, and takes no more; herd context remove NAME removes one",
                self.path.display()
            );
        }
        let named = || self.path.display().to_string();
        create_private_directory(directory).with_context(named)?;
        let text = toml::to_string(&self.contexts)?;
        // Of its own for each process: two that write at once each leave a whole file.
        let draft = directory.join(format!("contexts.toml.{}.draft", std::process::id()));
        write_atomically(&self.path, &draft, &[HEAD.as_bytes(), text.as_bytes()]).with_context(named)
    }
}

fn parse(path: &Path, text: &str) -> anyhow::Result<Contexts> {
    let contexts: Contexts = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        anyhow::anyhow!("{}:{line}: {}", path.display(), error.message())
    })?;
    if let Some(current) = contexts.current.as_ref().filter(|current| !contexts.named.contains_key(*current)) {
        bail!(
            "{}: the current context is {current}, and there is none of that name; herd context use NAME",
            path.display()
        );
    }
    Ok(contexts)
}

const HEAD: &str = "# Names for herds, by `herd context`; docs/cli.md.\n";
const CONTEXTS_MAX: usize = 64;
/// Room for so many contexts with paths of usual length, four times.
const FILE_BYTES_MAX: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Directory of configurations that is removed at the end of a test.
    struct ConfigHome(PathBuf);

    impl ConfigHome {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("herd-contexts-{}-{name}", std::process::id()));
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("herd").join("contexts.toml")
        }
    }

    impl Drop for ConfigHome {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn contexts_are_read_as_they_were_written_and_by_their_user_alone() {
        let home = ConfigHome::new("written");
        let path = home.file();
        let mut file = ContextsFile::read(path.clone()).unwrap();
        assert_eq!(file.contexts, Contexts::default());
        let prod: ContextName = "prod".parse().unwrap();
        let context = Context { config: Some("/etc/herd/prod.toml".into()), ..Context::default() };
        file.contexts.named.insert(prod.clone(), context);
        file.contexts.current = Some(prod);
        file.write().unwrap();
        assert_eq!(ContextsFile::read(path.clone()).unwrap().contexts, file.contexts);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
        let refused = ContextsFile::read(path).unwrap_err().to_string();
        assert!(refused.contains("can be written by others"), "{refused}");
    }

    #[test]
    fn contexts_that_are_none_are_refused_with_their_line() {
        let problem = |text: &str| parse(Path::new("contexts.toml"), text).unwrap_err().to_string();
        assert!(problem("\n[contexts.prod]\nconfg = \"x\"\n").starts_with("contexts.toml:3: unknown field `confg`"));
        assert!(problem("[contexts.\"a b\"]\n").contains("\"a b\" is no name of a context"));
        assert!(problem("current = \"prod\"\n").contains("there is none of that name"));
    }

    #[test]
    fn contexts_are_limited_in_number_and_bytes() {
        let home = ConfigHome::new("limited");
        let path = home.file();
        let mut file = ContextsFile::read(path.clone()).unwrap();
        file.contexts.named =
            (0..=CONTEXTS_MAX).map(|number| (format!("c{number}").parse().unwrap(), Context::default())).collect();
        assert!(file.write().unwrap_err().to_string().contains("takes no more"));
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, vec![b'#'; FILE_BYTES_MAX as usize + 1]).unwrap();
        assert!(ContextsFile::read(path).unwrap_err().to_string().contains("more than"));
    }
}
