//! `herd certs show`: who has certificates, until when, and what to do.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use herd_identity::{
    AuthorityStatus, CREDENTIALS_BYTES_MAX, CertificateStatus, Credentials, Expiry, IdentityStatus, TrustBundle,
    TrustError,
};
use serde_json::{Value, json};

use super::super::configured_herd::ConfiguredHerd;
use super::super::table::Table;
use super::bounded_read;
use super::identity_files::{AuthorityArgs, IdentityFiles, MemberFile, read_member, whole_now, wrong_file};
use super::show_json;

/// Arguments of `herd certs show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// File that `herd certs` made. Default: the authority and all nodes on this host.
    file: Option<PathBuf>,
    #[command(flatten)]
    authority: AuthorityArgs,
    /// Print all certificates as JSON.
    #[arg(long)]
    json: bool,
}

/// Shows a file, or all that this host has. Fails if a file of a node is damaged, after the others were shown.
pub(super) fn show(config: &ConfiguredHerd, args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let files = IdentityFiles::of(config, args.authority.dir.as_deref())?;
    match &args.file {
        Some(file) => show_file(&files, file, args.json).map(|()| ExitCode::SUCCESS),
        None => show_all(&files, args),
    }
}

fn show_all(files: &IdentityFiles, args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let now = whole_now();
    // An authority that was named has to be there.
    let authority = if args.authority.dir.is_some() { Some(files.open()?) } else { files.open_if_here()? };
    let authority = authority.map(|authority| AuthorityStatus::of(&authority, now));
    let mut nodes: Vec<(PathBuf, IdentityStatus)> = Vec::new();
    let mut problems = Vec::new();
    let mut operator: Vec<(PathBuf, IdentityStatus)> = Vec::new();
    let mut read = |file: MemberFile, statuses: &mut Vec<(PathBuf, IdentityStatus)>| {
        let status = file.credentials.map_err(|error| wrong_file(&file.path, error));
        match status.and_then(|credentials| status_of(files, &credentials, now)) {
            Ok(status) => statuses.push((file.path, status)),
            Err(error) => problems.push(format!("{error:#}")),
        }
    };
    files.nodes()?.into_iter().for_each(|file| read(file, &mut nodes));
    files.operator().into_iter().for_each(|file| read(file, &mut operator));
    if authority.is_none() && nodes.is_empty() && operator.is_empty() && problems.is_empty() {
        bail!(
            "no certificates of herd {} in {}; {} makes its authority, and `herd up` makes all if the links are on loopback",
            files.herd().escape_debug(),
            files.state().display(),
            files.command("init")
        );
    }
    let mut warnings = authority.as_ref().map(AuthorityStatus::warnings).unwrap_or_default();
    for warning in nodes.iter().chain(&operator).flat_map(|(_, status)| status.warnings()) {
        // The authority may have given it already.
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    if args.json {
        let shown = json!({
            "herd": files.herd(),
            "authority": authority.as_ref().map(|status| show_json::authority(files.authority_directory(), status)),
            "operator": operator.first().map(|(path, status)| show_json::member(path, status)),
            "nodes": nodes.iter().map(|(path, status)| show_json::member(path, status)).collect::<Vec<Value>>(),
            "warnings": warnings,
        });
        say!("{}", serde_json::to_string_pretty(&shown)?);
    } else {
        if let Some(status) = &authority {
            say!("authority of herd {}, in {}", files.herd().escape_debug(), files.authority_directory().display());
            say_on!("{}", authority_table(status));
            status.lists.iter().for_each(|list| say!("{list}"));
        }
        if !nodes.is_empty() {
            if authority.is_some() {
                say!("");
            }
            say!(
                "nodes of herd {} on this host, in {}",
                files.herd().escape_debug(),
                files.state().join("nodes").display()
            );
            say_on!("{}", nodes_table(nodes.iter().map(|(_, status)| status)));
        }
        if let Some((path, status)) = operator.first() {
            if authority.is_some() || !nodes.is_empty() {
                say!("");
            }
            say!("for commands of this user, in {}", path.display());
            say_on!("{}", nodes_table([status].into_iter()));
        }
        say_warnings(&warnings);
    }
    match &*problems {
        [] => Ok(ExitCode::SUCCESS),
        [one] => bail!("{one}"),
        many => bail!("\n  {}", many.join("\n  ")),
    }
}

/// Shows a file of a member, or one with revocation lists, of whatever herd.
fn show_file(files: &IdentityFiles, path: &Path, json: bool) -> anyhow::Result<()> {
    let now = whole_now();
    let content = bounded_read::read(path, CREDENTIALS_BYTES_MAX)?;
    match TrustBundle::parse(&content) {
        Ok(trust) => return show_trust(path, &trust, json),
        Err(TrustError::Foreign | TrustError::Roots | TrustError::TooLong) => {}
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    let credentials = read_member(path, &content)?;
    let status = status_of(files, &credentials, now)?;
    let warnings = status.warnings();
    if json {
        let mut shown = show_json::member(path, &status);
        shown["warnings"] = json!(warnings);
        say!("{}", serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    say!("{} of herd {}", path.display(), status.own.subject.herd.escape_debug());
    let mut table = Table::new(&HEADINGS);
    for certificate in [&status.own].into_iter().chain(&status.authorities) {
        table.row(cells(certificate, false));
    }
    say_on!("{table}");
    status.lists.iter().for_each(|list| say!("{list}"));
    say_warnings(&warnings);
    Ok(())
}

fn show_trust(path: &Path, trust: &TrustBundle, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string_pretty(&show_json::trust(path, trust))?);
        return Ok(());
    }
    say!("{}: authorities and revocation lists of herd {}", path.display(), trust.herd().escape_debug());
    for root in trust.roots() {
        say!("authority with serial {}", root.serial().short());
    }
    for list in trust.lists() {
        say!("revocation list {}", list.number());
        for (serial, _) in list.revoked() {
            say!("  revokes serial {}", serial.short());
        }
    }
    Ok(())
}

/// Looks at credentials with all that this host knows of revocations: a file may have been made before one.
fn status_of(files: &IdentityFiles, credentials: &Credentials, now: Duration) -> anyhow::Result<IdentityStatus> {
    let is_of_herd = credentials.trust().herd() == files.herd();
    let known = if is_of_herd { files.with_all_known(credentials, now)? } else { credentials.clone() };
    Ok(IdentityStatus::of(&known, now))
}

fn authority_table(status: &AuthorityStatus) -> Table {
    let mut table = Table::new(&HEADINGS);
    for root in &status.authorities {
        table.row(cells(root, false));
    }
    for issued in &status.issued {
        table.row(cells(issued, status.is_replaced(issued)));
    }
    table
}

fn nodes_table<'a>(nodes: impl Iterator<Item = &'a IdentityStatus>) -> Table {
    let mut table = Table::new(&[HEADINGS[0], HEADINGS[1], HEADINGS[2], HEADINGS[3], "lists"]);
    for status in nodes {
        let lists: Vec<String> = status.lists.iter().map(|list| list.number.to_string()).collect();
        table.row(cells(&status.own, false).into_iter().chain([lists.join(" ")]));
    }
    table
}

fn cells(certificate: &CertificateStatus, is_replaced: bool) -> [String; 4] {
    let CertificateStatus { subject, serial, expiry, is_revoked, .. } = certificate;
    let words = expiry.to_string();
    let state = match expiry {
        _ if *is_revoked => "revoked",
        Expiry::Far(_) | Expiry::Near(_) | Expiry::Close(_) if is_replaced => "replaced",
        // What to do about it stands in the warnings.
        _ => words.split(',').next().unwrap_or_default(),
    };
    [subject.role.to_string(), state.into(), certificate.valid_until(), serial.short()]
}

fn say_warnings(warnings: &[String]) {
    warnings.iter().for_each(|warning| say!("warning: {warning}"));
}

/// Headings of every table.
const HEADINGS: [&str; 4] = ["who", "state", "valid until", "serial"];
