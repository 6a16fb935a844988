//! What the southbound database knows of neighbours, for the slow path; and which ports are gone.

use crate::hold_down;
use crate::tables::{Ctx, Db};
use kiln_incr::Target;
use kiln_ovsdb::Text;
use kiln_responder::{Learning, Neighbors, NextHop};
use kiln_types::{DatapathKey, EthAddr, PortKey, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// Ports of local datapaths by their keys, and which of them went since the last time that this was asked.
#[derive(Debug, Default)]
pub struct Gone {
    here: BTreeMap<(DatapathKey, PortKey), u32>,
    gone: BTreeSet<(DatapathKey, PortKey)>,
}

impl Target for Gone {
    type Written = Vec<(DatapathKey, PortKey)>;
    type Id = (DatapathKey, PortKey);

    fn replace(&mut self, old: &[Self::Id], new: &mut Self::Written) -> Box<[Self::Id]> {
        for keys in &*new {
            *self.here.entry(*keys).or_insert(0) += 1;
        }
        for keys in old {
            if let Some(count) = self.here.get_mut(keys) {
                *count -= 1;
                if *count == 0 {
                    self.here.remove(keys);
                    self.gone.insert(*keys);
                }
            }
        }
        new.drain(..).collect()
    }
}

impl Gone {
    /// The ports that went and did not come back.
    pub(crate) fn take(&mut self) -> BTreeSet<(DatapathKey, PortKey)> {
        let mut gone = std::mem::take(&mut self.gone);
        gone.retain(|keys| !self.here.contains_key(keys));
        gone
    }
}

/// A port of a local datapath.
pub(crate) fn port_keys(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(DatapathKey, PortKey)>) {
    let Some(port) = ctx.value(&ctx.ports, row) else { return };
    out.push((DatapathKey(port.datapath_key), PortKey(port.key)));
}

/// The name of a port by its keys, and its datapath's row. What stands for a distributed port is that port.
pub(crate) fn port(db: &Db, datapath: DatapathKey, key: PortKey) -> Option<(Text, Uuid)> {
    let datapath = *db.datapath_keyed.peek(&datapath.0).first()?;
    let row = db.port_keyed.peek(&(datapath, key.0)).first()?;
    let binding = db.sb.port_binding.peek(row)?;
    let distributed =
        binding.options.get("distributed-port").filter(|_| &*binding.r#type == "chassisredirect");
    Some((distributed.unwrap_or(&binding.logical_port).clone(), datapath))
}

/// What MAC_Binding says, for packets that ask for neighbours and for neighbours that say something of themselves.
pub(crate) struct Known<'d>(pub(crate) &'d Db);

impl Known<'_> {
    fn row(&self, next_hop: &NextHop) -> Option<&Uuid> {
        let (name, _) = port(self.0, next_hop.datapath, next_hop.port)?;
        self.0.neighbor_rows.peek(&(name, next_hop.ip)).first()
    }
}

impl Neighbors for Known<'_> {
    fn mac(&self, next_hop: &NextHop) -> Option<EthAddr> {
        self.0.sb.mac_binding.peek(self.row(next_hop)?)?.mac.parse().ok()
    }

    fn fixed(&self, next_hop: &NextHop) -> Option<EthAddr> {
        let (name, _) = port(self.0, next_hop.datapath, next_hop.port)?;
        let row = self.0.fixed_rows.peek(&(name, next_hop.ip)).first()?;
        self.0.sb.static_mac_binding.peek(row)?.mac.parse().ok()
    }

    fn speaker(&self, router: DatapathKey, port: PortKey, sender: IpAddr) -> Option<IpAddr> {
        hold_down::speaker(self.0, router, port, sender)
    }

    fn is_broadcast(&self, router: DatapathKey, port: PortKey, ip: Ipv4Addr) -> bool {
        hold_down::is_broadcast(self.0, router, port, ip)
    }

    fn learning(&self, next_hop: &NextHop) -> Learning {
        let datapath = self.0.datapath_keyed.peek(&next_hop.datapath.0).first();
        let learns = datapath.and_then(|row| self.0.learns.peek(row));
        if learns.is_some_and(|learns| learns.tracked) {
            Learning::Tracked { asked: self.row(next_hop).is_some() }
        } else {
            Learning::Open
        }
    }
}
