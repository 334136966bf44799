//! From one schema to another: the mapping language, its validation, the plan and the run.

pub mod account;
pub mod bind;
pub mod demand;
pub mod explain;
pub mod hazard;
pub mod language;
pub mod plan;
pub mod run;
pub mod scaffold;
pub mod seen;
pub mod verify;

mod fit;
mod functions;
#[cfg(test)]
mod fuzz;
mod map;
