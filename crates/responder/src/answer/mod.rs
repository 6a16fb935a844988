//! What is made for a packet, one file for each class of answer. All of it is pure: state, bounds and counters are the
//! responder's.

pub(crate) mod acl_log;
pub(crate) mod arp;
pub(crate) mod fragment;
pub(crate) mod icmp_error;
pub(crate) mod nd_na;
pub(crate) mod nd_ns;
pub(crate) mod put_fdb;
pub(crate) mod put_mac_binding;
pub(crate) mod put_nd_ra_opts;
pub(crate) mod reject;
pub(crate) mod sctp_abort;
pub(crate) mod tcp_reset;
pub(crate) mod unreachable;

use crate::DropReason;

/// What a class of answer makes of a packet.
pub(crate) type Answer<T> = Result<T, DropReason>;
