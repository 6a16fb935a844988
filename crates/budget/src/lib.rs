//! Budgets of the slow path: what packets that are made in software may cost, so that no sender takes what is another's.
//!
//! Work is of a [`Class`], and is done for a [`Payer`]: a router, the port that the packet came in by, and its source address.
//! A packet is paid for from a token bucket at each of four levels, or from none of them, and then it is to be dropped:
//!
//! ```text
//!   chassis --- shared by ports ---+
//!   router  --- shared by ports ---+--- port --- shared by sources --- source
//! ```
//!
//! **Never more than rate × time + burst** passes at any level, as each is a token bucket.
//!
//! **A flood never takes another's share.** A bucket that several share gives to each of them only while what that one used of
//! it lately is less than what is left in it. One port alone can have the whole rate; of `k` that flood each comes to have a
//! `k`-th, with a `k`-th of the burst left over in the bucket, and whoever used less than that is served at once. (The rule is
//! that of Choudhury and Hahne's dynamic thresholds for shared buffers, ToN 1998, with tokens for memory.) "Lately" is the
//! time in which the bucket fills: use is forgotten exponentially with that time constant.
//!
//! **Memory is bounded.** A port or source that has used nothing lately is as good as a new one, so it may be forgotten. When
//! there are more than [`MAX_PORTS`], [`MAX_ROUTERS`] or [`MAX_SOURCES`] that have, the rest count as one with those that
//! they share with.
//!
//! Time comes with each call. A payment takes four look-ups and no allocation once its entries are there.
#![forbid(unsafe_code)]

mod bucket;
mod budgets;
mod class;
mod crowd;

pub use bucket::{Limit, ParseLimitError};
pub use budgets::{Budgets, Counts, Level, MAX_PORTS, MAX_ROUTERS, MAX_SOURCES, Payer, Tracked};
pub use class::{Class, ClassLimits, Limits};
