//! Certificates in files that change.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

/// A directory with the pair `node` or parts of the pair `renewed`, and a virtual clock.
struct Files {
    directory: TempDir,
    now: Instant,
}

impl Files {
    fn new() -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap(), now: Instant::now() };
        files.copy("node.pem", "certificate.pem");
        files.copy("node.key", "key.pem");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn copy(&self, from: &str, to: &str) {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/tls");
        fs::copy(data.join(from), self.path(to)).unwrap();
    }

    fn read(&self) -> Result<TlsCertificate, TlsCertificateError> {
        TlsCertificate::read(&self.path("certificate.pem"), &self.path("key.pem"))
    }

    /// Looks until content has settled.
    fn reload(&mut self, certificate: &TlsCertificate) -> Reload {
        let mut last = Reload::Same;
        for _ in 0..3 {
            self.now += Duration::from_secs(1);
            match certificate.reload(self.now) {
                Reload::Same => {}
                other => last = other,
            }
        }
        last
    }
}

#[test]
fn certificate_is_replaced_once_both_files_are_a_pair() {
    let mut files = Files::new();
    let certificate = files.read().unwrap();
    let first = certificate.serving.load_full();
    assert!(matches!(files.reload(&certificate), Reload::Same), "unchanged since the start");
    files.copy("renewed.pem", "certificate.pem");
    assert!(matches!(files.reload(&certificate), Reload::Refused(TlsCertificateError::Pair { .. })));
    assert!(Arc::ptr_eq(&first, &certificate.serving.load_full()), "the former pair goes on");
    files.copy("renewed.key", "key.pem");
    assert!(matches!(files.reload(&certificate), Reload::Serves));
    assert!(!Arc::ptr_eq(&first, &certificate.serving.load_full()));
    assert!(matches!(files.reload(&certificate), Reload::Same));
}

/// Goal: a renewal is no fault while it is under way. Method: the key comes a look after the certificate, so that one is complete while the
/// other still changes.
#[test]
fn certificate_is_judged_with_its_key_when_both_are_complete() {
    let mut files = Files::new();
    let certificate = files.read().unwrap();
    files.reload(&certificate);
    let look = |files: &mut Files| {
        files.now += Duration::from_secs(1);
        certificate.reload(files.now)
    };
    files.copy("renewed.pem", "certificate.pem");
    assert!(matches!(look(&mut files), Reload::Same));
    files.copy("renewed.key", "key.pem");
    assert!(matches!(look(&mut files), Reload::Same), "the key still changes");
    assert!(matches!(look(&mut files), Reload::Serves));
}

#[test]
fn certificate_that_cannot_be_read_any_more_is_refused_once() {
    let mut files = Files::new();
    let certificate = files.read().unwrap();
    fs::remove_file(files.path("key.pem")).unwrap();
    fs::create_dir(files.path("key.pem")).unwrap();
    assert!(matches!(files.reload(&certificate), Reload::Refused(TlsCertificateError::Read { .. })));
    assert!(matches!(files.reload(&certificate), Reload::Same));
}

#[test]
fn certificate_that_disappears_goes_on_serving() {
    let mut files = Files::new();
    let certificate = files.read().unwrap();
    fs::remove_file(files.path("key.pem")).unwrap();
    fs::write(files.path("certificate.pem"), "").unwrap();
    assert!(matches!(files.reload(&certificate), Reload::Same));
    assert!(certificate.connection().is_ok());
}

#[test]
fn certificate_that_cannot_serve_is_refused_with_its_file() {
    let files = Files::new();
    let problem = || files.read().err().unwrap().to_string();
    files.copy("renewed.key", "key.pem");
    assert!(problem().contains("certificate.pem and ") && problem().contains("are no pair that can serve"));
    files.copy("node.pem", "key.pem");
    assert!(problem().contains("key.pem has no private key in PEM"), "{}", problem());
    files.copy("node.key", "certificate.pem");
    assert!(problem().contains("certificate.pem has no certificate in PEM"), "{}", problem());
    fs::remove_file(files.path("key.pem")).unwrap();
    assert!(problem().starts_with("cannot read ") && problem().contains("`client_tls`"), "{}", problem());
}
