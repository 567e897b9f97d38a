//! What a node makes of reports from its peers.
//!
//! A report that does not win by rank is dropped here, before any guest sees it, so a flood ends whatever a guest
//! does. What wins is decided, kept and passed on; what no live generation would have is set aside.

use std::sync::PoisonError;

use herd_sdk::{Decision, Effect, Report};

use crate::node::Core;
use herd_model::limits::{KEY_BYTES_MAX, NODE_NAME_BYTES_MAX, RANK_BYTES_MAX, RECORD_BYTES_MAX};
use herd_replication::{Aside, Kept, Rank, Reign};
use herd_replication::{ReportFrame, WireReport};
use herd_runtime::{Fault, GenerationId};
use herd_sys::{clock::moment, guest_log::log_note};

/// Takes a frame of reports from a peer.
///
/// # Errors
///
/// The frame is malformed, in words; none of it was taken.
pub(crate) fn take(core: &Core, from: &str, frame: &ReportFrame) -> Result<(), String> {
    let reports = frame.reports().map_err(|error| format!("malformed reports: {error}"))?;
    if let Some(wrong) = reports.iter().find_map(problem) {
        return Err(wrong);
    }
    if let Some(traffic) = &core.traffic {
        reports.iter().for_each(|report| traffic.received_from_peer(from, report.record));
    }
    reports.iter().for_each(|report| core.records.expect(report.key));
    let mut news: Vec<WireReport<'_>> = Vec::with_capacity(reports.len());
    news.extend(reports.iter().filter(|report| core.records.is_news(report.key, rank(report))));
    let mut faults_left = FAULTS_PER_FRAME_MAX;
    for batch in news.chunks(DECIDED_AT_ONCE_MAX) {
        decide(core, Some(from), batch, &mut faults_left);
    }
    Ok(())
}

/// Offers what is set aside to the generation that is active now.
pub(crate) fn offer_aside_again(core: &Core) {
    // One at a time: two swaps in a row must not both hold the same records.
    static OFFERING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _offering = OFFERING.lock().unwrap_or_else(PoisonError::into_inner);
    let aside = core.records.take_aside();
    let reports: Vec<WireReport<'_>> = aside
        .iter()
        .map(|aside| WireReport {
            key: &aside.key,
            reign: aside.reign.0,
            rank: &aside.rank,
            form: aside.form,
            record: &aside.record,
            origin: &aside.origin,
        })
        .collect();
    for batch in reports.chunks(DECIDED_AT_ONCE_MAX) {
        let mut faults_left = FAULTS_PER_FRAME_MAX;
        decide(core, None, batch, &mut faults_left);
    }
}

/// Decides reports together. When every live generation faults on them, each half is decided for itself, so that one
/// report that no guest survives costs only itself. `faults_left` bounds how often that may happen in one frame: each
/// fault may cost two deadlines, and a peer that waits for a pong must not wait for all of them.
fn decide(core: &Core, from: Option<&str>, batch: &[WireReport<'_>], faults_left: &mut u32) {
    if *faults_left == 0 {
        return batch.iter().for_each(|report| set_aside(core, report));
    }
    let reports: Vec<Report<'_>> = batch.iter().map(as_event).collect();
    match core.generations.reports(moment(), &reports) {
        Ok((decided_by, decision)) => {
            let mut refused = vec![false; batch.len()];
            for effect in &decision.effects {
                if let Effect::Refuse(index) = effect {
                    refused[index as usize] = true;
                }
            }
            let applied: Vec<bool> =
                batch.iter().zip(refused).map(|(report, refused)| apply(core, from, report, refused)).collect();
            perform(core, decided_by, &decision, &applied);
        }
        // The host is at fault, and no guest had a say: the record won, so it is kept.
        Err(Fault::NoInstance(_)) => {
            for report in batch {
                apply(core, from, report, false);
            }
        }
        Err(_) => {
            *faults_left -= 1;
            if let [report] = batch {
                return set_aside(core, report);
            }
            let (left, right) = batch.split_at(batch.len() / 2);
            decide(core, from, left, faults_left);
            decide(core, from, right, faults_left);
        }
    }
}

/// Whether the report was applied, that is, won and is shown.
fn apply(core: &Core, from: Option<&str>, report: &WireReport<'_>, refused: bool) -> bool {
    if refused {
        set_aside(core, report);
        return false;
    }
    let applied = matches!(core.records.keep_from_peer(report.key, rank(report), report.origin), Kept::Applied(_));
    if applied {
        core.peers.flood(report, from, None);
    }
    applied
}

fn set_aside(core: &Core, report: &WireReport<'_>) {
    let aside = Aside {
        key: report.key.to_vec(),
        reign: Reign(report.reign),
        rank: report.rank.to_vec(),
        form: report.form,
        record: report.record.to_vec(),
        origin: report.origin.to_string(),
    };
    if matches!(core.records.set_aside(aside), Kept::Applied(_)) {
        tracing::debug!(origin = report.origin, "a report was set aside");
    }
}

/// A decision on reports refuses, publishes and notes, and nothing else: that was checked where it left the guest.
fn perform(core: &Core, decided_by: GenerationId, decision: &Decision, applied: &[bool]) {
    for effect in &decision.effects {
        match effect {
            Effect::Publish(publish) => {
                let tied = |index: u32| applied.get(index as usize).copied().unwrap_or_default();
                if publish.tie.is_none_or(tied) {
                    core.topics.publish(decision.bytes(publish.topic), decision.bytes(publish.bytes));
                }
            }
            Effect::Note(note) => log_note(decision, note, decided_by),
            _ => {}
        }
    }
}

fn as_event<'a>(report: &WireReport<'a>) -> Report<'a> {
    let WireReport { key, rank, form, record, origin, .. } = *report;
    Report { key, rank, form, bytes: record, origin: origin.as_bytes() }
}

fn rank<'a>(report: &WireReport<'a>) -> Rank<'a> {
    Rank { reign: Reign(report.reign), rank: report.rank, record: report.record, form: report.form }
}

/// What is wrong with a report as such. The link protocol promises these limits.
fn problem(report: &WireReport<'_>) -> Option<String> {
    let over = |what, length, max| Some(format!("a report with a {what} of {length} bytes, over the limit of {max}"));
    match report {
        WireReport { key: [], .. } => Some("a report without a key".into()),
        WireReport { key, .. } if key.len() > KEY_BYTES_MAX => over("key", key.len(), KEY_BYTES_MAX),
        WireReport { rank, .. } if rank.len() > RANK_BYTES_MAX => over("rank", rank.len(), RANK_BYTES_MAX),
        WireReport { record, .. } if record.len() > RECORD_BYTES_MAX => over("record", record.len(), RECORD_BYTES_MAX),
        WireReport { origin, .. } if origin.len() > NODE_NAME_BYTES_MAX => {
            over("origin", origin.len(), NODE_NAME_BYTES_MAX)
        }
        _ => None,
    }
}

/// One guest call decides so many reports within its deadline.
const DECIDED_AT_ONCE_MAX: usize = 512;
/// Enough to isolate a few bad reports among the 512 of a batch, in less than a second of faults.
const FAULTS_PER_FRAME_MAX: u32 = 40;
