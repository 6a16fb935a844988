//! Typed rows of OVN_Northbound (ovn-nb(5)) and OVN_Southbound (ovn-sb(5)) as of OVN 26.03.
#![forbid(unsafe_code)]

pub mod nb;
pub mod sb;
