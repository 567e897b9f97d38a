//! SDK for authors of protocol logic.
//!
//! A guest implements [`Logic`] on a type of its own and names that type in [`export!`]. Built for
//! `wasm32-wasip2`, the crate is a component that a node can serve. Built natively, it is ordinary
//! Rust that tests can call.
//!
//! ```
//! use herd_sdk::{BadSetting, Description, Input, Logic, Progress, Settings, Context};
//!
//! struct Hello;
//!
//! impl Logic for Hello {
//!     fn describe() -> Description {
//!         Description { name: "hello".into(), version: "1".into(), commands: vec![] }
//!     }
//!
//!     fn configure(_: &Settings) -> Result<Self, BadSetting> {
//!         Ok(Self)
//!     }
//!
//!     fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
//!         input.lines(|line| context.reply_with(|out| {
//!             out.extend_from_slice(b"hello ");
//!             out.extend_from_slice(line);
//!             out.push(b'\n');
//!         }))
//!     }
//! }
//!
//! herd_sdk::export!(Hello);
//! ```
//!
//! A unit test calls the logic through [`native::Native`], a [`transcript`] through files:
//!
//! ```
//! # use herd_sdk::{BadSetting, Description, Input, Logic, Progress, Settings, Context};
//! # struct Hello;
//! # impl Logic for Hello {
//! #     fn describe() -> Description { Description::default() }
//! #     fn configure(_: &Settings) -> Result<Self, BadSetting> { Ok(Self) }
//! #     fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
//! #         input.lines(|line| context.reply(&[b"hello ", line, b"\n"].concat()))
//! #     }
//! # }
//! use std::sync::Arc;
//!
//! use herd_sdk::native::{Decider, MemoryRecords, Native};
//! use herd_sdk::{Mark, Moment};
//!
//! let mut guest = Native::new(Hello, Arc::new(MemoryRecords::default()));
//! let input = Input { bytes: b"world\n", mark: Mark::More };
//! let decision = guest.input(Moment::default(), input)?;
//! assert_eq!(decision.output, b"hello world\n");
//! # Ok::<(), herd_sdk::native::Fault>(())
//! ```
//!
//! This crate owns the vocabulary that both sides of the WIT boundary share: events, effects, their encoding and their
//! [`limits`]. It must not know sockets, clocks or wasmtime. [`limits`] bounds each decision.

pub mod batch;
mod context;
mod decide_inputs;
mod decided_keeps;
mod decision;
pub mod effect;
pub mod effects;
pub mod event;
pub mod forms;
mod in_form;
pub mod limits;
pub mod logic;
pub mod patterns;
mod records;

#[cfg(not(target_family = "wasm"))]
pub mod check;
#[cfg(target_family = "wasm")]
pub mod component;
#[cfg(not(target_family = "wasm"))]
pub mod converted;
#[cfg(not(target_family = "wasm"))]
pub mod native;
#[cfg(not(target_family = "wasm"))]
pub mod transcript;

pub use batch::{InputBatch, Inputs, ReportBatch};
pub use context::{Checkpoint, Context, KeepIndex};
pub use decide_inputs::decide_inputs;
pub use decision::Decision;
pub use effect::{Effect, FanOut, Fetch, Keep, Level, Method, Note, Publish, Reply, Span, Tie};
pub use effects::Effects;
pub use event::{Awaiting, Failure, Found, Input, Mark, Moment, Outcome, Progress, Report, Reports};
pub use forms::{Forms, Unconvertible};
pub use logic::{BadSetting, Description, Logic, Settings};
pub use records::Records;

/// Exports a type that implements [`Logic`] as a component.
///
/// `export!(Hello);` exports the logic alone. `export!(Hello, forms);` also exports the type's [`Forms`], for a guest that
/// writes another form than the first or reads more than one.
///
/// On targets other than wasm the macro expands to nothing, so the same crate builds and tests natively.
///
/// ```
/// use herd_sdk::{BadSetting, Context, Description, Forms, Input, Logic, Progress, Settings};
///
/// struct Echo;
///
/// impl Logic for Echo {
///     fn describe() -> Description {
///         Description { name: "echo".into(), version: "1".into(), commands: vec![] }
///     }
///
///     fn configure(_: &Settings) -> Result<Self, BadSetting> {
///         Ok(Self)
///     }
///
///     fn input(&self, input: Input<'_>, context: &mut Context<'_>) -> Progress {
///         input.lines(|line| context.reply(line))
///     }
/// }
///
/// impl Forms for Echo {
///     const NATIVE: u32 = 2;
/// }
///
/// herd_sdk::export!(Echo, forms);
/// ```
#[macro_export]
macro_rules! export {
    ($logic:ty, forms) => {
        $crate::export!($logic);

        #[cfg(target_family = "wasm")]
        const _: () = {
            type Converter = $crate::component::Converter<$logic>;
    $crate::component::forms_bindings::export_forms!(Converter with_types_in $crate::component::forms_bindings);
        };
    };
    ($logic:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            ::std::thread_local! {
                static LOGIC: ::std::cell::OnceCell<$logic> = const { ::std::cell::OnceCell::new() };
            }

            struct Cell;

            impl $crate::component::LogicCell for Cell {
                type Logic = $logic;

                fn with<R>(use_it: impl FnOnce(&::std::cell::OnceCell<$logic>) -> R) -> R {
                    LOGIC.with(use_it)
                }
            }

            type Component = $crate::component::Component<Cell>;
    $crate::component::bindings::export!(Component with_types_in $crate::component::bindings);
        };
    };
}
