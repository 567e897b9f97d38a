//! Conversion of records between the forms of generations.

pub(crate) mod budget;
pub(crate) mod cache;
pub(crate) mod conversion;
pub(crate) mod converter;
pub(crate) mod kept;
pub(crate) mod reader;
pub(crate) mod registry;
pub(crate) mod store;
