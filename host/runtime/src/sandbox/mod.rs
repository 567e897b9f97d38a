//! One instance of a guest: its store, its limits, and the calls into it.

pub(crate) mod backtrace;
pub(crate) mod bindings;
pub(crate) mod call_cost;
pub(crate) mod deadline;
pub(crate) mod fault;
pub(crate) mod forms_instance;
pub(crate) mod guest_text;
pub(crate) mod host_state;
pub(crate) mod instance_count;
pub(crate) mod limits;
#[cfg_attr(feature = "native-twin", path = "native_instance.rs")]
pub(crate) mod logic_instance;
pub(crate) mod output;
pub(crate) mod record_view;
pub(crate) mod store;
pub(crate) mod wasi;
