//! `imis check`.

mod profile;

pub(crate) use profile::profile;
