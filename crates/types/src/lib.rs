//! Newtypes of the domain, shared by every layer: link-layer addresses, masks and prefixes, tunnel keys, time as
//! data, maps whose order does not vary, sets that share what they have in common, and seeded randomness.
#![forbid(unsafe_code)]

mod eth;
mod ip_text;
mod keys;
mod mask;
mod shared_set;
mod time;

pub use eth::{EthAddr, ParseEthAddrError};
pub use ip_text::IpText;
pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub use keys::{DatapathKey, OfPort, PortKey};
pub use mask::{eui64_link_local, prefix_len_v4, prefix_len_v6, solicited_node};
pub use shared_set::SharedSet;
pub use time::Instant;
pub use uuid::Uuid;

/// A hash map whose hasher has no random seed: the same insertions give the same order in every process.
///
/// Outputs still must not depend on that order; sort before emitting.
#[allow(clippy::disallowed_types)]
pub type HashMap<K, V> = std::collections::HashMap<K, V, rustc_hash::FxBuildHasher>;

/// A hash set with the same hasher as [`HashMap`].
#[allow(clippy::disallowed_types)]
pub type HashSet<K> = std::collections::HashSet<K, rustc_hash::FxBuildHasher>;

/// Whether a collection has so much more room than it needs that it is worth giving back.
pub const fn is_roomy(capacity: usize, len: usize) -> bool {
    capacity > 4 * len + 1024
}

/// Gives back the room of a map that once held much more.
pub fn give_back_room<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>) {
    if is_roomy(map.capacity(), map.len()) {
        map.shrink_to_fit();
    }
}

/// A seeded source of pseudo-random numbers. Engines get one made from a seed that their shell chose.
pub type Rng = fastrand::Rng;
