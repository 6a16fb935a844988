//! What the slow path learns, on its way into the southbound database; and what that database knows, for packets that
//! wait for it.

use crate::hold_down;
use crate::tables::{Ctx, Db};
use kiln_incr::Target;
use kiln_ovsdb::Text;
use kiln_ovsdb::txn::Txn;
use kiln_responder::{Neighbors, NextHop, Write};
use kiln_types::{DatapathKey, EthAddr, PortKey, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Neighbours that became known, or changed, since the last time that they were taken.
#[derive(Debug, Default)]
pub struct Known {
    news: Vec<(NextHop, EthAddr)>,
}

impl Target for Known {
    type Item = (NextHop, EthAddr);
    type Id = (NextHop, EthAddr);

    fn replace(&mut self, old: &[Self::Id], new: Vec<Self::Item>) -> Box<[Self::Id]> {
        self.news.extend(new.iter().filter(|item| !old.contains(item)));
        new.into()
    }
}

impl Known {
    /// The news.
    pub(crate) fn take(&mut self) -> Vec<(NextHop, EthAddr)> {
        std::mem::take(&mut self.news)
    }
}

/// Ports of local datapaths by their keys, and which of them went since the last time that this was asked.
#[derive(Debug, Default)]
pub struct Gone {
    here: BTreeMap<(DatapathKey, PortKey), u32>,
    gone: BTreeSet<(DatapathKey, PortKey)>,
}

impl Target for Gone {
    type Item = (DatapathKey, PortKey);
    type Id = (DatapathKey, PortKey);

    fn replace(&mut self, old: &[Self::Id], new: Vec<Self::Item>) -> Box<[Self::Id]> {
        for keys in &new {
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
        new.into()
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

/// The neighbour that a row of MAC_Binding tells of.
pub(crate) fn known(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(NextHop, EthAddr)>) {
    let Some(binding) = ctx.row(&ctx.sb.mac_binding, row) else { return };
    let Some(port) = ctx.all(&ctx.port_named, binding.logical_port()).first() else { return };
    let Some(port) = ctx.row(&ctx.sb.port_binding, port) else { return };
    let Some(datapath) = ctx.value(&ctx.local_datapaths, &port.datapath()) else { return };
    if let (Ok(ip), Ok(mac)) = (binding.ip().parse(), binding.mac().parse()) {
        let port = PortKey(port.tunnel_key() as u16);
        out.push((NextHop { datapath: DatapathKey(datapath.key), port, ip }, mac));
    }
}

/// The name of a port by its keys, and its datapath's row. What stands for a distributed port is that port.
fn port(db: &Db, datapath: DatapathKey, key: PortKey) -> Option<(Text, Uuid)> {
    let datapath = *db.datapath_keyed.peek(&datapath.0).first()?;
    let row = db.port_keyed.peek(&(datapath, key.0)).first()?;
    let binding = db.sb.port_binding.peek(row)?;
    let distributed =
        binding.options.get("distributed-port").filter(|_| &*binding.r#type == "chassisredirect");
    Some((distributed.unwrap_or(&binding.logical_port).clone(), datapath))
}

/// What the southbound database tells the responder.
pub(crate) struct Southbound<'a>(pub(crate) &'a Db);

impl Neighbors for Southbound<'_> {
    fn mac(&self, next_hop: &NextHop) -> Option<EthAddr> {
        look_up(self.0, next_hop)
    }

    fn speaker(&self, router: DatapathKey, port: PortKey, sender: IpAddr) -> Option<IpAddr> {
        hold_down::speaker(self.0, router, port, sender)
    }
}

/// What MAC_Binding says of a next hop.
fn look_up(db: &Db, next_hop: &NextHop) -> Option<EthAddr> {
    let (name, _) = port(db, next_hop.datapath, next_hop.port)?;
    let row = db.neighbor_rows.peek(&(name, next_hop.ip)).first()?;
    db.sb.mac_binding.peek(row)?.mac.parse().ok()
}

/// Writes what was learned and is not known yet. `wall_ms` is the time, in milliseconds since 1970.
pub(crate) fn write(db: &Db, write: &Write, wall_ms: i64, txn: &mut Txn) {
    match write {
        Write::MacBinding(hop, mac) => {
            let Some((name, datapath)) = port(db, hop.datapath, hop.port) else { return };
            let (ip, mac) = (hop.ip.to_string(), mac.to_string());
            match db.neighbor_rows.peek(&(name.clone(), hop.ip)).first() {
                Some(row) if db.sb.mac_binding.peek(row).is_some_and(|old| *old.mac == *mac) => {}
                Some(row) => {
                    txn.update("MAC_Binding").row(*row).set("mac", &mac).set("timestamp", &wall_ms);
                }
                None => {
                    txn.insert("MAC_Binding")
                        .set("logical_port", &name)
                        .set("ip", &ip)
                        .set("mac", &mac)
                        .set("timestamp", &wall_ms)
                        .set("datapath", &datapath);
                }
            }
        }
        Write::Fdb(datapath, mac, key) => {
            let (dp_key, port_key) = (i64::from(datapath.0), i64::from(key.0));
            match db.station_rows.peek(&(dp_key, *mac)).first() {
                Some(row) if db.sb.fdb.peek(row).is_some_and(|old| old.port_key == port_key) => {}
                Some(row) => {
                    txn.update("FDB").row(*row).set("port_key", &port_key).set("timestamp", &wall_ms);
                }
                None => {
                    txn.insert("FDB")
                        .set("mac", &mac.to_string())
                        .set("dp_key", &dp_key)
                        .set("port_key", &port_key)
                        .set("timestamp", &wall_ms);
                }
            }
        }
    }
}
