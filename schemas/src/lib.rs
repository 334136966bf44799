//! What a database looks like, whatever engine it lives in.
//!
//! This room knows catalogues ([`Catalog`]), types ([`DataType`]), names ([`TableName`]) and the known openIMIS
//! releases ([`release()`]). It opens no connection and reads no file but those embedded in it.

pub mod catalog;
pub mod compare;
pub mod data_type;
pub mod document;
#[cfg(test)]
mod fuzz;
pub mod identify;
pub mod legacy;
pub mod name;
pub mod release;
pub mod script;

pub use catalog::{
    Catalog, Check, Column, ForeignKey, Index, Key, Known, Routine, Table, TypedColumn, Unique, UserType, View,
};
pub use data_type::{DataType, Length};
pub use identify::{Difference, Identification, identify};
pub use name::{Engine, TableName, same_name};
pub use release::{ReleaseError, release, release_names};
