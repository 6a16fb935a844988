//! Meters: rate limits that flows name. A fair meter limits each ACL on its own, so each has a copy.

use crate::flow::uuid_from_hash;
use crate::tables::Ctx;
use kiln_ovsdb::{Set, Text};
use kiln_schema_ovn::{nb, sb};
use kiln_types::Uuid;

/// Meters by name.
pub(crate) fn named(ctx: &Ctx<'_>, meter: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.meter, meter) else { return };
    out.push((row.name().clone(), *meter));
}

/// Rows of the southbound Meter by name.
pub(crate) fn rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(meter) = ctx.row(&ctx.sb.meter, row) else { return };
    out.push((meter.name().clone(), *row));
}

/// The fair meter of that name, if there is one.
fn fair(ctx: &Ctx<'_>, name: &Text) -> Option<Uuid> {
    let meter = ctx.all(&ctx.meter_named, name).first()?;
    (ctx.row(&ctx.nb.meter, meter)?.fair() == Some(true)).then_some(*meter)
}

fn copy_name(name: &str, acl: &Uuid) -> Text {
    format!("{name}__{acl}").into()
}

/// What the meter `name` is called in the flows of an ACL.
pub(crate) fn name_for(ctx: &Ctx<'_>, name: &Text, acl: &Uuid) -> Text {
    if fair(ctx, name).is_some() { copy_name(name, acl) } else { name.clone() }
}

/// The northbound meter that an ACL has a copy of, and what the copy is called.
fn copy_of(ctx: &Ctx<'_>, acl: &Uuid) -> Option<(Uuid, Text)> {
    let row = ctx.row(&ctx.nb.acl, acl)?;
    if !row.log() {
        return None;
    }
    let name = row.meter().as_ref()?;
    Some((fair(ctx, name)?, copy_name(name, acl)))
}

fn hashed(name: &str, band: &[u8]) -> Uuid {
    let mut hash = xxhash_rust::xxh3::Xxh3::with_seed(0x6d65_7465);
    hash.update(name.as_bytes());
    hash.update(band);
    uuid_from_hash(hash.digest128())
}

fn bands(meter: &nb::view::Meter<'_>, name: &str) -> Vec<(Uuid, Uuid)> {
    meter.bands().all().iter().map(|band| (hashed(name, band.as_bytes()), *band)).collect()
}

fn want(ctx: &Ctx<'_>, meter: &Uuid, name: Text, out: &mut Vec<(Uuid, sb::Meter)>) {
    let Some(row) = ctx.row(&ctx.nb.meter, meter) else { return };
    let standing = ctx.all(&ctx.meter_rows, &name).first().copied();
    let bands = bands(&row, &name).into_iter().map(|(copy, _)| copy).collect();
    let uuid = standing.unwrap_or_else(|| hashed(&name, b""));
    out.push((uuid, sb::Meter { unit: row.unit().clone(), bands: Set::from_vec(bands), name }));
}

fn want_bands(ctx: &Ctx<'_>, meter: &Uuid, name: &str, out: &mut Vec<(Uuid, sb::MeterBand)>) {
    let Some(row) = ctx.row(&ctx.nb.meter, meter) else { return };
    for (copy, band) in bands(&row, name) {
        let Some(band) = ctx.row(&ctx.nb.meter_band, &band) else { continue };
        out.push((
            copy,
            sb::MeterBand { action: band.action().clone(), rate: band.rate(), burst_size: band.burst_size() },
        ));
    }
}

pub(crate) fn of_meter(ctx: &Ctx<'_>, meter: &Uuid, out: &mut Vec<(Uuid, sb::Meter)>) {
    let Some(row) = ctx.row(&ctx.nb.meter, meter) else { return };
    want(ctx, meter, row.name().clone(), out);
}

pub(crate) fn bands_of_meter(ctx: &Ctx<'_>, meter: &Uuid, out: &mut Vec<(Uuid, sb::MeterBand)>) {
    let Some(row) = ctx.row(&ctx.nb.meter, meter) else { return };
    want_bands(ctx, meter, row.name(), out);
}

pub(crate) fn of_acl(ctx: &Ctx<'_>, acl: &Uuid, out: &mut Vec<(Uuid, sb::Meter)>) {
    let Some((meter, name)) = copy_of(ctx, acl) else { return };
    want(ctx, &meter, name, out);
}

pub(crate) fn bands_of_acl(ctx: &Ctx<'_>, acl: &Uuid, out: &mut Vec<(Uuid, sb::MeterBand)>) {
    let Some((meter, name)) = copy_of(ctx, acl) else { return };
    want_bands(ctx, &meter, &name, out);
}
