//! `put_fdb`: learns which port of a switch an Ethernet address is behind (ovn-sb(5)).

use super::Answer;
use crate::DropReason;
use crate::punt::Punt;
use kiln_types::{DatapathKey, EthAddr, PortKey};

/// The packet's Ethernet source is behind the input port.
pub(crate) fn entry(punt: &Punt<'_>) -> Answer<(DatapathKey, EthAddr, PortKey)> {
    let (datapath, port) =
        punt.metadata.datapath().zip(punt.metadata.inport()).ok_or(DropReason::NoMetadata)?;
    let mac = punt.packet.key.eth_src;
    if mac.is_zero() || mac.is_multicast() {
        return Err(DropReason::NotAHost);
    }
    Ok((datapath, mac, port))
}
