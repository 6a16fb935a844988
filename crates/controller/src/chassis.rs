//! This chassis' rows of Chassis, Encap and Chassis_Private: by which name, addresses and features others know it.

use crate::outstanding::SbOp;
use crate::settings::EncapKind;
use crate::tables::{Ctx, Db};
use kiln_abi::options::chassis_feature as feature;
use kiln_ovsdb::column::Pairs;
use kiln_ovsdb::txn::Txn;
use kiln_ovsdb::{Map, Set, Text};
use kiln_types::Uuid;

/// What the rows should say.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// The chassis' name.
    pub name: Text,
    /// Its host's name.
    pub hostname: Text,
    /// Tunnel endpoints.
    pub encaps: Vec<Endpoint>,
    /// Keys of other_config that are ours.
    pub other_config: Vec<(Text, Text)>,
    /// Transport zones.
    pub transport_zones: Set<Text>,
}

/// A row of Encap.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// The protocol.
    pub kind: EncapKind,
    /// The address.
    pub ip: Text,
    /// Column `options`.
    pub options: Map<Text, Text>,
}

impl Endpoint {
    fn index(&self) -> (Text, Text) {
        (self.kind.name().into(), self.ip.clone())
    }
}

pub(crate) fn registration(ctx: &Ctx<'_>, _: &(), out: &mut Vec<((), Registration)>) {
    let Some(settings) = ctx.value(&ctx.settings, &()) else { return };
    if !settings.encaps_given {
        return;
    }
    let text = |flag: bool| Text::from(if flag { "true" } else { "false" });
    let mut encaps = Vec::new();
    for kind in &settings.encap_types {
        for ip in &settings.encap_ips {
            let mut options = vec![("csum".into(), text(settings.encap_csum))];
            if settings.encap_ips.len() > 1 && settings.encap_ip_default == Some(*ip) {
                options.push(("is_default".into(), "true".into()));
            }
            encaps.push(Endpoint { kind: *kind, ip: ip.to_string().into(), options: Map::from_vec(options) });
        }
    }
    let mut other_config: Vec<(Text, Text)> =
        settings.announced.iter().map(|(key, value)| ((*key).into(), value.clone())).collect();
    other_config.extend(features(ctx));
    other_config.push(("datapath-type".into(), datapath_type(ctx)));
    other_config.push(("iface-types".into(), iface_types(ctx)));
    other_config.sort();
    out.push((
        (),
        Registration {
            name: settings.chassis.clone(),
            hostname: settings.hostname.clone(),
            encaps,
            other_config,
            transport_zones: settings.transport_zones.clone(),
        },
    ));
}

/// What this controller and its switch understand.
fn features(ctx: &Ctx<'_>) -> impl Iterator<Item = (Text, Text)> {
    let facts = ctx.value(&ctx.facts, &());
    let samples = facts.is_some_and(|facts| facts.sample_with_registers);
    let flushes = facts.is_some_and(|facts| facts.ct_label_flush);
    feature::ALL.iter().map(move |key| {
        let has = match *key {
            feature::SAMPLE_WITH_REGISTERS => samples,
            feature::CT_LABEL_FLUSH => flushes,
            _ => true,
        };
        ((*key).into(), if has { "true" } else { "false" }.into())
    })
}

fn datapath_type(ctx: &Ctx<'_>) -> Text {
    let bridge = ctx.value(&ctx.integration, &()).and_then(|row| ctx.row(&ctx.vs.bridge, row));
    bridge.map(|bridge| bridge.datapath_type().clone()).unwrap_or_default()
}

fn iface_types(ctx: &Ctx<'_>) -> Text {
    let root = ctx.all(&ctx.root, &()).first().and_then(|row| ctx.row(&ctx.vs.open_vswitch, row));
    root.map(|root| root.iface_types().all().join(",").into()).unwrap_or_default()
}

/// Whether the rows say something else.
pub(crate) fn differences(ctx: &Ctx<'_>, _: &(), out: &mut Vec<SbOp>) {
    let Some(want) = ctx.value(&ctx.registration, &()) else { return };
    let me = ctx.value(&ctx.me, &()).and_then(|row| ctx.row(&ctx.sb.chassis, row));
    let Some(me) = me else { return out.push(SbOp::Chassis) };
    let config = me.other_config();
    let mut same = *me.hostname() == want.hostname
        && want.other_config.iter().all(|(key, value)| config.get(key) == Some(value))
        && *me.transport_zones().all() == want.transport_zones[..]
        && me.encaps().all().len() == want.encaps.len();
    for endpoint in &want.encaps {
        let row = ctx.all(&ctx.encap_at, &endpoint.index()).first();
        let row = row.filter(|row| me.encaps().contains(row)).and_then(|row| ctx.row(&ctx.sb.encap, row));
        same &= row.is_some_and(|row| {
            *row.chassis_name() == want.name
                && endpoint.options.iter().all(|(key, value)| row.options().get(key) == Some(value))
                && (row.options().get("is_default").is_none() || endpoint.options.contains_key("is_default"))
        });
    }
    if !same {
        out.push(SbOp::Chassis);
    }
}

/// Whether Chassis_Private is there, refers to Chassis, and says how far the switch is.
pub(crate) fn private_differences(ctx: &Ctx<'_>, _: &(), out: &mut Vec<SbOp>) {
    let Some(want) = ctx.value(&ctx.registration, &()) else { return };
    let Some(me) = ctx.value(&ctx.me, &()) else { return };
    let row = ctx.all(&ctx.chassis_private_named, &want.name).first();
    let row = row.and_then(|row| ctx.row(&ctx.sb.chassis_private, row));
    let progress = ctx.value(&ctx.progress, &()).filter(|_| reports_progress(ctx));
    let current = row.is_some_and(|row| {
        row.chassis() == Some(*me) && progress.is_none_or(|progress| row.nb_cfg() == progress.nb_cfg)
    });
    if !current {
        out.push(SbOp::ChassisPrivate);
    }
}

/// Whether chassis are to say how far they are.
fn reports_progress(ctx: &Ctx<'_>) -> bool {
    let global = ctx.all(&ctx.sb_global, &()).first().and_then(|row| ctx.row(&ctx.sb.sb_global, row));
    let key = kiln_abi::options::sb_global::ENABLE_CHASSIS_NB_CFG_UPDATE;
    global.is_none_or(|global| global.options().get(key).is_none_or(|text| &**text != "false"))
}

/// How far the switch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The `SB_Global.nb_cfg` that all flows in the switch follow from.
    pub nb_cfg: i64,
    /// When that was reached, in milliseconds since 1970.
    pub wall_ms: i64,
}

/// The row of Chassis that does not exist yet: the same after a failed attempt.
fn row_for(name: &str) -> Uuid {
    crate::outstanding::uuid_of("Chassis", &[name])
}

/// Inserts or updates Chassis and its rows of Encap.
pub(crate) fn write(db: &Db, txn: &mut Txn) {
    let Some(want) = db.registration.peek(&()) else { return };
    let me = db.me.peek(&()).copied();
    let standing = me.and_then(|me| db.sb.chassis.peek(&me));
    let encaps: Set<Uuid> = want.encaps.iter().map(|endpoint| write_encap(db, want, endpoint, txn)).collect();
    let (Some(me), Some(standing)) = (me, standing) else {
        txn.insert("Chassis")
            .uuid(row_for(&want.name))
            .set("name", &want.name)
            .set("hostname", &want.hostname)
            .set("encaps", &encaps)
            .set("other_config", &Pairs(&want.other_config))
            .set("transport_zones", &want.transport_zones);
        return;
    };
    let mut op = txn.update("Chassis");
    op.row(me);
    if standing.hostname != want.hostname {
        op.set("hostname", &want.hostname);
    }
    if standing.transport_zones != want.transport_zones {
        op.set("transport_zones", &want.transport_zones);
    }
    if standing.encaps != encaps {
        op.set("encaps", &encaps);
    }
    drop(op);
    let differs = |(key, value): &&(Text, Text)| standing.other_config.get(key) != Some(value);
    let changed: Vec<(Text, Text)> = want.other_config.iter().filter(differs).cloned().collect();
    if !changed.is_empty() {
        let keys: Vec<&Text> = changed.iter().map(|(key, _)| key).collect();
        txn.mutate("Chassis").row(me).delete("other_config", &keys[..]).put("other_config", &Pairs(&changed));
    }
}

fn write_encap(db: &Db, want: &Registration, endpoint: &Endpoint, txn: &mut Txn) -> Uuid {
    let standing = db.encap_at.peek(&endpoint.index()).first().copied();
    let row = standing.and_then(|row| Some((row, db.sb.encap.peek(&row)?)));
    let Some((row, encap)) = row.filter(|(_, encap)| encap.chassis_name == want.name) else {
        let row = crate::outstanding::uuid_of("Encap", &[endpoint.kind.name(), &endpoint.ip, &want.name]);
        txn.insert("Encap")
            .uuid(row)
            .set("type", endpoint.kind.name())
            .set("ip", &endpoint.ip)
            .set("options", &endpoint.options)
            .set("chassis_name", &want.name);
        return row;
    };
    if encap.options != endpoint.options {
        txn.update("Encap").row(row).set("options", &endpoint.options);
    }
    row
}

/// Inserts or updates Chassis_Private.
pub(crate) fn write_private(db: &Db, txn: &mut Txn) {
    let (Some(want), Some(me)) = (db.registration.peek(&()), db.me.peek(&())) else { return };
    let progress = db.progress.peek(&());
    let row = db.chassis_private_named.peek(&want.name).first().copied();
    let standing = row.and_then(|row| db.sb.chassis_private.peek(&row));
    let (Some(row), Some(standing)) = (row, standing) else {
        let mut op = txn.insert("Chassis_Private");
        op.uuid(crate::outstanding::uuid_of("Chassis_Private", &[&want.name]));
        op.set("name", &want.name).set("chassis", me);
        if let Some(progress) = progress {
            op.set("nb_cfg", &progress.nb_cfg).set("nb_cfg_timestamp", &progress.wall_ms);
        }
        return;
    };
    let mut op = txn.update("Chassis_Private");
    op.row(row);
    if standing.chassis != Some(*me) {
        op.set("chassis", me);
    }
    if let Some(progress) = progress.filter(|progress| progress.nb_cfg != standing.nb_cfg) {
        op.set("nb_cfg", &progress.nb_cfg).set("nb_cfg_timestamp", &progress.wall_ms);
    }
}
