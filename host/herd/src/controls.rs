//! What operators may do with a node: the admin API and `--watch` end here.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use crate::journal::entry;
use crate::node::Core;
use herd_admin::{AdminHost, Promotion, Refusal, ShareWish, SwapOptions};
use herd_audit::{self as audit, Entry};
use herd_model::Share;
use herd_rollout::{NotSwapped, Outcome};
use herd_runtime::Digest;
use herd_sys::TrafficLog;
use herd_sys::workers as worker;

impl AdminHost for Core {
    fn status(&self) -> Value {
        let sessions = self.sessions.get().and_then(std::sync::Weak::upgrade).map(|sessions| sessions.status());
        let (instances, engine) = self.generations.alive();
        json!({
            "node": self.name,
            "version": env!("CARGO_PKG_VERSION"),
            "started_s": self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            "generations": self.generations.status(),
            "stages": self.generations.stages(),
            "cases_saved": self.generations.cases_saved(),
            "engine": { "instances": instances, "workers": worker::count(), "compiled": engine.compiled, "pool": engine.pool },
            "records": self.records.status(),
            "sessions": sessions,
            "herd": self.rollout.status(),
            "links": self.peers.status().links,
            "upstreams": self.upstreams.status(),
            "traffic_lines_dropped": self.traffic.as_ref().map_or(0, TrafficLog::dropped),
            "audit": self.audit.status(),
        })
    }

    fn swap(&self, guest: &[u8], who: &str, wish: SwapOptions) -> Result<Value, Refusal> {
        let digest = Digest::of(guest);
        self.asked(guest, digest, who);
        let before = self.generations.status();
        let prepared = self.generations.prepare(guest, wish);
        // Also if the swap failed: that of another guest is over all the same.
        self.others_are_over(&before, who, "ended by a swap");
        let refused = |error| self.refused(who, &digest.to_string(), audit::Stage::Candidate, &error);
        let candidate = prepared.map_err(refused)?;
        self.ready(&candidate, who);
        self.generations.check(&candidate).map_err(refused)?;
        let before = self.generations.status();
        self.activating(&before, &candidate.status(), who, None);
        let active = self.generations.activate(candidate).map_err(refused)?;
        self.rollout.serves(Some(guest));
        self.others_are_over(&before, who, "ended by a swap");
        match self.activated(&active) {
            true => Ok(json!({ "node": self.name, "active": active })),
            false => Err(Refusal::BadGuest(WENT_BACK.into())),
        }
    }

    fn roll_back(&self, who: &str) -> Result<Value, Refusal> {
        let before = self.generations.status();
        let active = self.generations.roll_back().map_err(|error| {
            self.audit.append(Entry::new(who, audit::Stage::RolledBack).refused(&error.to_string()));
            Refusal::Conflict(error.to_string())
        })?;
        self.rollout.serves(None);
        self.generations.see_off();
        self.others_are_over(&before, who, "ended by a rollback");
        self.went_back(&before.active, &active, who);
        Ok(json!({ "node": self.name, "active": active }))
    }

    fn herd_swap(&self, guest: &[u8], who: &str, wish: SwapOptions) -> Result<Value, Refusal> {
        let digest = Digest::of(guest).to_string();
        let entry = || Entry::new(who, audit::Stage::Candidate).digest(&digest);
        self.outcome(self.rollout.swap(guest, wish, who), entry)
    }

    fn herd_roll_back(&self, who: &str) -> Result<Value, Refusal> {
        self.outcome(self.rollout.roll_back(who), || Entry::new(who, audit::Stage::RolledBack))
    }

    fn begin_canary(&self, guest: &[u8], who: &str, wish: ShareWish) -> Result<Value, Refusal> {
        let digest = Digest::of(guest);
        self.asked(guest, digest, who);
        let begun = self.generations.begin_canary(guest, wish.share, wish.swap);
        let canary = begun.map_err(|error| self.refused(who, &digest.to_string(), audit::Stage::Canary, &error))?;
        let candidate = &canary.candidate;
        tracing::info!(node = %self.name, generation = %candidate.id, digest = %&candidate.digest[..8], share = %wish.share, "generation is a canary");
        let why = format!("decides for {} of the sessions", wish.share);
        self.audit.append(entry(who, audit::Stage::Canary, candidate).because(&why));
        Ok(json!({ "node": self.name, "canary": canary }))
    }

    fn widen_canary(&self, share: Share, who: &str) -> Result<Value, Refusal> {
        let canary = self.generations.widen_canary(share).map_err(|error| Refusal::Conflict(error.to_string()))?;
        let why = format!("decides for {share} of the sessions from now on");
        self.audit.append(entry(who, audit::Stage::Canary, &canary.candidate).because(&why));
        Ok(json!({ "node": self.name, "canary": canary }))
    }

    fn end_canary(&self, who: &str) -> Result<Value, Refusal> {
        let canary = self.generations.end_canary().map_err(|error| Refusal::Conflict(error.to_string()))?;
        self.audit.append(entry(who, audit::Stage::Canary, &canary.candidate).because("cancelled"));
        Ok(json!({ "node": self.name, "canary": canary }))
    }

    fn promote_canary(&self, who: &str, to: Promotion) -> Result<Value, Refusal> {
        let guest = self.generations.canary_guest().map_err(|error| Refusal::Conflict(error.to_string()))?;
        match to {
            Promotion::OfTheHerd => self.herd_swap(&guest, who, SwapOptions::default()),
            Promotion::OfThisNode => self.swap(&guest, who, SwapOptions::default()),
        }
    }

    fn shadow(&self, guest: &[u8], who: &str, wish: ShareWish) -> Result<Value, Refusal> {
        let digest = Digest::of(guest).to_string();
        let begun = self.generations.shadow(guest, wish.share, wish.swap);
        let report = begun.map_err(|error| self.refused(who, &digest, audit::Stage::Shadow, &error))?;
        let candidate = &report.candidate;
        tracing::info!(node = %self.name, generation = %candidate.id, digest = %&candidate.digest[..8], share = %wish.share, "generation shadows");
        let why = format!("decides {} of the calls too", wish.share);
        self.audit.append(entry(who, audit::Stage::Shadow, candidate).because(&why));
        Ok(json!({ "node": self.name, "shadow": report }))
    }

    fn shadow_report(&self) -> Value {
        json!({ "node": self.name, "shadow": self.generations.shadow_report() })
    }

    fn end_shadow(&self, who: &str) -> Result<Value, Refusal> {
        let report = self.generations.end_shadow().map_err(|error| Refusal::Conflict(error.to_string()))?;
        self.audit.append(entry(who, audit::Stage::Shadow, &report.candidate).because("stopped"));
        Ok(json!({ "node": self.name, "shadow": report }))
    }
}

impl Core {
    /// What came of a swap of the herd, for whoever asked for it. What no node had a say in is written down here.
    fn outcome(&self, came: Result<Outcome, NotSwapped>, entry: impl FnOnce() -> Entry) -> Result<Value, Refusal> {
        let error = match came {
            Ok(Outcome { swap, nodes }) => {
                return Ok(json!({ "swap": swap.number, "digest": swap.digest, "nodes": nodes }));
            }
            Err(refused @ NotSwapped::Refused(_)) => return Err(Refusal::BadGuest(refused.to_string())),
            Err(error) => error,
        };
        let why = error.to_string();
        self.audit.append(entry().refused(&why));
        match error {
            NotSwapped::Busy | NotSwapped::TakenPart(_) => Err(Refusal::Busy(why)),
            _ => Err(Refusal::Conflict(why)),
        }
    }
}

/// A generation that was sent back before anybody could be told that it serves.
const WENT_BACK: &str =
    "it served, faulted too often at once and was sent back; herd audit says why, and where what it faulted on is kept";
