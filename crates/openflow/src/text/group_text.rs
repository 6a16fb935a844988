//! Groups and meters in text.

use super::action_print::PortText;
use super::value::{self, parse_field, parse_u16, parse_u32, parse_u64};
use super::{ParseError, Result, action_print::settable, port, split};
use crate::field::FieldValue;
use crate::msg::{Bucket, Group, Meter, MeterBand, Selection};
use std::fmt::{self, Write};
use std::str::FromStr;

const TYPES: [(&str, u8); 6] = [
    ("all", Group::ALL),
    ("select", Group::SELECT),
    ("indirect", Group::INDIRECT),
    ("ff", Group::FAST_FAILOVER),
    ("fast_failover", Group::FAST_FAILOVER),
    ("fastfailover", Group::FAST_FAILOVER),
];

/// The weight that is not printed, and that a select group's bucket has if none is given.
const DEFAULT_WEIGHT: u16 = 1;

impl fmt::Display for Group {
    /// The line of `dump-groups`, without the space before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group_id={}", self.group_id)?;
        match TYPES.iter().find(|(_, typ)| *typ == self.typ) {
            Some((name, _)) => write!(f, ",type={name}")?,
            None => write!(f, ",type={}", self.typ)?,
        }
        if let Some(selection) = &self.selection {
            print_selection(selection, f)?;
        }
        for bucket in &self.buckets {
            write!(f, ",bucket=bucket_id:{},", bucket.bucket_id)?;
            if let Some(weight) = bucket.weight.filter(|&w| w != DEFAULT_WEIGHT) {
                write!(f, "weight:{weight},")?;
            }
            if let Some(port) = bucket.watch_port {
                write!(f, "watch_port:{},", PortText(port))?;
            }
            if let Some(group) = bucket.watch_group {
                write!(f, "watch_group:{group},")?;
            }
            write!(f, "actions={}", bucket.actions)?;
        }
        Ok(())
    }
}

fn print_selection(s: &Selection, f: &mut dyn Write) -> fmt::Result {
    write!(f, ",selection_method={}", s.method)?;
    if s.param != 0 {
        write!(f, ",selection_method_param={}", s.param)?;
    }
    match s.fields[..] {
        [] => Ok(()),
        [(field, mask)] => {
            f.write_str(",fields=")?;
            print_selected(field, mask, f)
        }
        _ => {
            f.write_str(",fields(")?;
            for (i, &(field, mask)) in s.fields.iter().enumerate() {
                f.write_str(if i > 0 { "," } else { "" })?;
                print_selected(field, mask, f)?;
            }
            f.write_char(')')
        }
    }
}

/// A field, and its mask if not all bits are hashed.
fn print_selected(field: crate::Field, mask: u128, f: &mut dyn Write) -> fmt::Result {
    f.write_str(field.name())?;
    if mask == field.all_ones() {
        return Ok(());
    }
    f.write_char('=')?;
    value::print_in_action(&FieldValue::exact(field, mask), f)
}

impl FromStr for Group {
    type Err = ParseError;

    /// Reads a group in the form of `ovs-ofctl add-group`. Buckets without a number are numbered from 0.
    fn from_str(text: &str) -> Result<Group> {
        let mut buckets = text.split("bucket=");
        let head = buckets.next().unwrap_or_default().trim().trim_end_matches(',');
        let mut group = parse_head(head)?;
        for (n, bucket) in buckets.enumerate() {
            let mut bucket = parse_bucket(bucket.trim().trim_end_matches(','), n)?;
            if group.typ == Group::SELECT {
                bucket.weight.get_or_insert(DEFAULT_WEIGHT);
            }
            group.buckets.push(bucket);
        }
        Ok(group)
    }
}

fn parse_head(head: &str) -> Result<Group> {
    let mut group = Group { typ: Group::ALL, group_id: 0, buckets: Vec::new(), selection: None };
    let mut selection = Selection { method: "".into(), param: 0, fields: Vec::new() };
    for item in split::list(head)? {
        let (name, arg) = split::name_and_arg(item);
        match name {
            "group_id" => group.group_id = parse_u32(arg)?,
            "type" => {
                let known = TYPES.iter().find(|(name, _)| *name == arg);
                group.typ = known.ok_or_else(|| ParseError::new(arg, "all, select, indirect or ff"))?.1;
            }
            "selection_method" => selection.method = arg.into(),
            "selection_method_param" => selection.param = parse_u64(arg)?,
            "fields" => {
                for field in split::list(arg)? {
                    let (name, mask) = field.split_once('=').map_or((field, None), |(n, m)| (n, Some(m)));
                    let field = settable(parse_field(name)?);
                    let mask = mask.map_or(Ok(field.all_ones()), |m| Ok(value::parse(field, m)?.value))?;
                    selection.fields.push((field, mask));
                }
            }
            _ => return Err(ParseError::new(item, "part of a group")),
        }
    }
    group.selection = (!selection.method.is_empty()).then_some(selection);
    Ok(group)
}

fn parse_bucket(text: &str, n: usize) -> Result<Bucket> {
    let (head, actions) = match text.find("actions=") {
        Some(at) => (&text[..at], &text[at + "actions=".len()..]),
        None => text.split_once("actions:").unwrap_or((text, "")),
    };
    let mut bucket = Bucket {
        bucket_id: u32::try_from(n).unwrap_or(Bucket::MAX_ID),
        weight: None,
        watch_port: None,
        watch_group: None,
        actions: actions.parse()?,
    };
    for item in split::list(head.trim().trim_end_matches(','))? {
        let (name, arg) = split::name_and_arg(item);
        match name {
            "bucket_id" => bucket.bucket_id = parse_u32(arg)?,
            "weight" => bucket.weight = Some(parse_u16(arg)?),
            "watch_port" => bucket.watch_port = Some(port::parse(arg)?),
            "watch_group" => bucket.watch_group = Some(parse_u32(arg)?),
            _ => return Err(ParseError::new(item, "bucket_id, weight, watch_port, watch_group or actions")),
        }
    }
    Ok(bucket)
}

impl fmt::Display for Meter {
    /// The lines of `dump-meters`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "meter={}", self.meter_id)?;
        for (flag, name) in
            [(Meter::KBPS, "kbps"), (Meter::PKTPS, "pktps"), (Meter::BURST, "burst"), (Meter::STATS, "stats")]
        {
            if self.flags & flag != 0 {
                write!(f, " {name}")?;
            }
        }
        f.write_str(" bands=")?;
        for band in &self.bands {
            match band.typ {
                MeterBand::DROP => f.write_str("\ntype=drop")?,
                MeterBand::DSCP_REMARK => f.write_str("\ntype=dscp_remark")?,
                typ => write!(f, "\ntype={typ}")?,
            }
            write!(f, " rate={}", band.rate)?;
            if self.flags & Meter::BURST != 0 {
                write!(f, " burst_size={}", band.burst)?;
            }
            if band.typ == MeterBand::DSCP_REMARK {
                write!(f, " prec_level={}", band.prec_level)?;
            }
        }
        Ok(())
    }
}
