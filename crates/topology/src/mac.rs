//! Ethernet addresses derived from names: the same name has the same address on every machine and in every run.

use kiln_types::EthAddr;

/// The address of what is called `name`: `0a` (locally administered, unicast), then the top 40 bits of the name's
/// 64-bit FNV-1a hash.
pub fn derived_mac(name: &str) -> EthAddr {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    EthAddr::from_u64(0x0a << 40 | hash >> 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hash_and_spread() {
        // FNV-1a of "a" is af63dc4c8601ec8c.
        assert_eq!(derived_mac("a").to_string(), "0a:af:63:dc:4c:86");
        let macs: std::collections::BTreeSet<_> =
            (0..20_000).map(|i| derived_mac(&format!("p{i}"))).collect();
        assert_eq!(macs.len(), 20_000);
    }
}
