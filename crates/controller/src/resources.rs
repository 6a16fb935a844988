//! What actions use beside names: numbers of groups and meters, tunnels, sample collectors.

use crate::desired::{GroupSpec, MeterSpec, Named};
use crate::names::Scope;
use crate::port::Delivery;
use crate::tunnel;
use kiln_logical::env::OptionDef;
use kiln_logical::{AddressSet, Environment, Field};
use kiln_lower::{Meter, Names, Resources, SelectGroup};
use kiln_openflow::Action;
use kiln_openflow::msg::{Group, Meter as OfMeter, MeterBand};
use kiln_types::OfPort;
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;

/// What becomes of a wish for a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is noted.
    Collect,
    /// It is answered with what was granted.
    LookUp,
}

/// Groups and meters that some actions want.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) groups: Vec<Named<GroupSpec>>,
    pub(crate) meters: Vec<Named<MeterSpec>>,
}

/// One datapath's surroundings.
pub(crate) struct World<'c, 'd> {
    pub(crate) scope: Scope<'c, 'd>,
    mode: Mode,
    wanted: RefCell<Wanted>,
}

impl<'c, 'd> World<'c, 'd> {
    pub(crate) fn new(scope: Scope<'c, 'd>, mode: Mode) -> Self {
        World { scope, mode, wanted: RefCell::default() }
    }

    pub(crate) fn into_wanted(self) -> Wanted {
        self.wanted.into_inner()
    }

    fn facts(&self) -> Option<&crate::tables::Facts> {
        self.scope.ctx.value(&self.scope.ctx.facts, &())
    }

    /// What a meter of the southbound database does.
    fn meter_spec(&self, wanted: &Meter<'_>) -> Option<MeterSpec> {
        let ctx = self.scope.ctx;
        let drop_above =
            |rate: u32, burst: u32| MeterBand { typ: MeterBand::DROP, rate, burst, prec_level: 0 };
        match wanted {
            Meter::Rate { rate_kbps, burst_kb } => {
                let burst = if burst_kb.is_some() { OfMeter::BURST } else { 0 };
                let band = drop_above(*rate_kbps, burst_kb.unwrap_or(0));
                Some(MeterSpec { flags: OfMeter::KBPS | OfMeter::STATS | burst, bands: vec![band] })
            }
            Meter::Named(name) => {
                let row = ctx.all(&ctx.meters_named, &(*name).into()).first()?;
                let row = ctx.row(&ctx.sb.meter, row)?;
                let unit = if &**row.unit() == "pktps" { OfMeter::PKTPS } else { OfMeter::KBPS };
                let bands = row.bands().all().iter().filter_map(|band| ctx.row(&ctx.sb.meter_band, band));
                let mut bands: Vec<MeterBand> =
                    bands.map(|band| drop_above(band.rate() as u32, band.burst_size() as u32)).collect();
                bands.sort_by_key(|band| (band.rate, band.burst));
                let burst = if bands.iter().any(|band| band.burst > 0) { OfMeter::BURST } else { 0 };
                Some(MeterSpec { flags: unit | OfMeter::STATS | burst, bands })
            }
        }
    }
}

/// A group's name is what it does, as text in the form of `group-table-list`.
fn group_name(spec: &GroupSpec) -> Box<str> {
    let mut out = String::from("type=select");
    if let Some(selection) = &spec.selection {
        let _ = write!(out, ",selection_method={}", selection.method);
        if selection.param != 0 {
            let _ = write!(out, ",selection_method_param={:#x}", selection.param);
        }
    }
    if let Some(selection) = spec.selection.as_ref().filter(|selection| !selection.fields.is_empty()) {
        let names: Vec<String> = selection.fields.iter().map(|(field, _)| field.to_string()).collect();
        let _ = write!(out, ",fields({})", names.join(","));
    }
    for bucket in &spec.buckets {
        let _ = write!(out, ",bucket=bucket_id={}", bucket.bucket_id);
        if let Some(weight) = bucket.weight {
            let _ = write!(out, ",weight:{weight}");
        }
        if let Some(port) = bucket.watch_port {
            let _ = write!(out, ",watch_port:{}", port.0);
        }
        out.push_str(",actions=");
        for (at, action) in bucket.actions.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match &action {
                Action::SetField(v) if is_run(v.mask) && !v.is_exact() => {
                    let first = v.mask.trailing_zeros();
                    let last = v.mask.ilog2();
                    let _ = write!(out, "{comma}load:{}->{}[{first}..{last}]", v.value >> first, v.field);
                }
                other => drop(write!(out, "{comma}{other}")),
            }
        }
    }
    out.into()
}

/// Whether the ones of a mask stand side by side.
fn is_run(mask: u128) -> bool {
    mask != 0 && ((mask >> mask.trailing_zeros()) + 1).is_power_of_two()
}

fn meter_name(wanted: &Meter<'_>) -> Box<str> {
    match wanted {
        Meter::Named(name) => (*name).into(),
        Meter::Rate { rate_kbps, burst_kb: None } => {
            format!("__string: kbps stats bands=type=drop rate={rate_kbps}").into()
        }
        Meter::Rate { rate_kbps, burst_kb: Some(burst) } => {
            format!("__string: kbps burst stats bands=type=drop rate={rate_kbps} burst_size={burst}").into()
        }
    }
}

impl Resources for World<'_, '_> {
    fn tunnel_to(&self, port: &str) -> Option<OfPort> {
        let ctx = self.scope.ctx;
        let row = ctx.all(&ctx.port_named, &port.into()).first()?;
        let Delivery::Tunnel { chassis } = ctx.value(&ctx.ports, row)?.delivery else { return None };
        tunnel::choose(ctx.all(&ctx.tunnels, &chassis), &[], 0).map(|tunnel| OfPort(tunnel.ofport))
    }

    fn has_collector_set(&self, id: u32) -> bool {
        crate::physical::drops::has_collector_set(self.scope.ctx, id)
    }

    fn group(&self, wanted: &SelectGroup) -> Option<u32> {
        let spec = GroupSpec {
            typ: Group::SELECT,
            buckets: wanted.buckets.clone(),
            selection: Some(wanted.selection.clone()),
        };
        let name = group_name(&spec);
        if self.mode == Mode::Collect {
            self.wanted.borrow_mut().groups.push(Named { name, spec, number: None });
            return None;
        }
        self.scope.ctx.value(&self.scope.ctx.group_ids, &name).copied()
    }

    fn meter(&self, wanted: &Meter<'_>) -> Option<u32> {
        if !self.facts()?.meters {
            return None;
        }
        let name = meter_name(wanted);
        if self.mode == Mode::Collect {
            if let Some(spec) = self.meter_spec(wanted) {
                self.wanted.borrow_mut().meters.push(Named { name, spec, number: None });
            }
            return None;
        }
        self.scope.ctx.value(&self.scope.ctx.meter_ids, &name).copied()
    }
}

impl Names for World<'_, '_> {
    fn port_key(&self, name: &str) -> Option<u32> {
        self.scope.port_key(name)
    }
    fn matched_port_key(&self, field: Field, name: &str) -> Option<u32> {
        self.scope.matched_port_key(field, name)
    }
    fn is_resident(&self, name: &str) -> bool {
        self.scope.is_resident(name)
    }
}

impl Environment for World<'_, '_> {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        self.scope.address_set(name)
    }
    fn port_group(&self, name: &str) -> Option<Arc<[Arc<str>]>> {
        self.scope.port_group(name)
    }
    fn template(&self, name: &str) -> Option<Cow<'_, str>> {
        self.scope.template(name)
    }
    fn dhcp_option(&self, name: &str) -> Option<OptionDef> {
        self.scope.dhcp_option(name)
    }
    fn dhcpv6_option(&self, name: &str) -> Option<OptionDef> {
        self.scope.dhcpv6_option(name)
    }
}
