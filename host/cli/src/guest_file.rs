//! Guests in files: components with the signatures beside them, and bundles.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use herd_code::{Bundle, CompiledCode};
use herd_model::SignedGuest;
use herd_model::limits::{GUEST_BYTES_MAX, SIGNATURES_BYTES_MAX};
use herd_signing::{SignatureFile, beside};

/// Reads a component.
///
/// # Errors
///
/// The file cannot be read; the error names it.
pub(super) fn read_guest(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// A guest as an operator brings it.
pub(super) struct BroughtGuest {
    pub(super) guest: SignedGuest,
    /// Code for nodes that do not compile.
    pub(super) codes: Vec<CompiledCode>,
}

/// Reads a bundle, or a component with its signatures from the file beside it.
///
/// # Errors
///
/// A file cannot be read, or the bundle is damaged; the error names it.
pub(super) fn read_brought_guest(path: &Path) -> anyhow::Result<BroughtGuest> {
    let named = || path.display().to_string();
    let size = path.metadata().with_context(named)?.len();
    let file = if size > Bundle::BYTES_MAX as u64 { Vec::new() } else { read_guest(path)? };
    if !Bundle::is_one(&file) {
        if size > GUEST_BYTES_MAX as u64 {
            bail!("{} has {size} bytes; a guest has at most {GUEST_BYTES_MAX}", named());
        }
        let signatures = read_signatures_beside(path)?.map(Into::into);
        return Ok(BroughtGuest { guest: SignedGuest { guest: file.into(), signatures }, codes: Vec::new() });
    }
    let Bundle { guest, signatures, codes } = Bundle::decode(&file).with_context(named)?;
    let signatures = (!signatures.is_empty()).then(|| signatures.into());
    Ok(BroughtGuest { guest: SignedGuest { guest: guest.into(), signatures }, codes })
}

/// Reads the file of signatures beside a component. None if there is none.
///
/// # Errors
///
/// It exists and cannot be read, or is too long for one; the error names it.
pub(super) fn read_signatures_beside(guest: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let path = beside(guest);
    match read_bounded(&path) {
        Ok(signatures) => Ok(Some(signatures)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Reads files of signatures, and joins them.
///
/// # Errors
///
/// One cannot be read, or is no file of signatures; the error names it.
pub(super) fn read_signatures(paths: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
    let mut all = SignatureFile::default();
    for path in paths {
        let named = || path.display().to_string();
        let file = SignatureFile::parse(&read_bounded(path).with_context(named)?).with_context(named)?;
        for signature in file.signatures() {
            all.add(signature.clone()).with_context(named)?;
        }
    }
    Ok(all.to_string().into_bytes())
}

/// Writes a file that everybody may read, unlike [`herd_sys::write_atomically`]: next to its final name first, so that nobody reads half of it.
///
/// # Errors
///
/// Something that is no file has its name, or the disk fails; the error names it.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let named = || path.display().to_string();
    if path.is_dir() {
        bail!("{} is a directory", path.display());
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.draft", std::process::id()));
    let written = std::fs::write(&draft, content).and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written.with_context(named)
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    // One more, so that what is too long shows.
    std::fs::File::open(path)?.take(SIGNATURES_BYTES_MAX as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}
