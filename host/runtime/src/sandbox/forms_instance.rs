//! One instance of a guest that converts records: a store, and the calls into its `forms`.
//!
//! It sees no records. Knows nothing of caches and of other guests. Bounds: those of the store.

use std::sync::Arc;

use herd_sdk::{Found, Records, Settings};

use crate::forms::conversion::{Conversion, NotConverted};
use crate::sandbox::bindings::{NodeLogic, NodeLogicPre, WithForms, forms};
use crate::sandbox::fault::Fault;
use crate::sandbox::host_state::HostState;
use crate::sandbox::instance_count::InstanceGuard;
use crate::sandbox::limits::Limits;
use crate::sandbox::record_view::FirstFormOnly;
use crate::sandbox::store::{InstanceStore, bad_settings, wit_settings};

/// An instance. Drop it after a fault: a component that trapped must never be entered again.
pub(crate) struct FormsInstance {
    store: InstanceStore,
    logic: NodeLogic,
    forms: WithForms,
}

impl FormsInstance {
    /// Creates an instance, not yet configured.
    ///
    /// # Errors
    ///
    /// The guest traps or exports `forms` with other types, or the host has no room for an instance.
    pub(crate) fn new(
        pre: &NodeLogicPre<HostState>,
        limits: Limits,
        node: &str,
        guard: InstanceGuard,
    ) -> Result<Self, Fault> {
        let mut store =
            InstanceStore::new(pre.engine(), limits, Arc::new(NoRecords), Arc::new(FirstFormOnly), node, guard);
        let (logic, forms) = store.instantiate(async |store| {
            let instance = pre.instance_pre().instantiate_async(&mut *store).await?;
            Ok((NodeLogic::new(&mut *store, &instance)?, WithForms::new(&mut *store, &instance)?))
        })?;
        Ok(Self { store, logic, forms })
    }

    /// Returns the form that the guest writes. Needs no configured instance.
    ///
    /// # Errors
    ///
    /// The guest is at fault.
    pub(crate) fn native(&mut self) -> Result<u32, Fault> {
        let forms = self.forms.herd_logic_forms();
        self.store.call(0, async |store| forms.call_native(store).await)
    }

    /// Configures the guest.
    ///
    /// # Errors
    ///
    /// The guest refuses them, or is at fault.
    pub(crate) fn configure(&mut self, to: &Settings) -> Result<(), Fault> {
        let (logic, settings) = (self.logic.herd_logic_logic(), wit_settings(to));
        let configured = self.store.call(0, async |store| logic.call_configure(store, &settings).await)?;
        self.store.started();
        configured.map_err(|bad| bad_settings(&bad))
    }

    /// Returns whether conversions used half the memory that it had left when it was made.
    pub(crate) fn used_half(&self) -> bool {
        self.store.used_half()
    }

    /// Converts a record. The inner error is the answer of the guest.
    ///
    /// # Errors
    ///
    /// The guest is at fault.
    pub(crate) fn convert(&mut self, conversion: Conversion<'_>) -> Result<Result<Vec<u8>, NotConverted>, Fault> {
        let forms = self.forms.herd_logic_forms();
        let converted = self.store.call(0, async |store| match conversion {
            Conversion::Upgrade { from, bytes } => forms.call_upgrade(store, from, bytes).await,
            Conversion::Downgrade { to, bytes } => forms.call_downgrade(store, to, bytes).await,
        })?;
        Ok(converted.map_err(|why| match why {
            forms::Unconvertible::UnknownForm => NotConverted::UnknownForm,
            forms::Unconvertible::Malformed => NotConverted::Malformed,
        }))
    }
}

/// An empty record table: a conversion is a function of its bytes.
struct NoRecords;

impl Records for NoRecords {
    fn find(&self, keys: &[&[u8]]) -> Vec<Option<Found>> {
        keys.iter().map(|_| None).collect()
    }
}
