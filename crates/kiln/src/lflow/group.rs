//! The text of a select group that actions want, in the form that ovn-controller's `group-table-list` has.

use kiln_abi::registers::reg;
use kiln_lower::SelectGroup;
use kiln_openflow::action::{Action, Ct};
use kiln_openflow::msg::{Bucket, Selection};
use kiln_openflow::{Actions, Field, FieldValue};
use std::fmt::{self, Write};

/// The group's text. `item` is the text of the actions: hashed fields go by the names, and in the order, that it has.
pub(super) fn text(group: &SelectGroup, item: &str) -> String {
    let Selection { method, param, fields } = &group.selection;
    let mut out = format!("type=select,selection_method={method}");
    if !fields.is_empty() {
        let mut names: Vec<_> = fields.iter().map(|(field, _)| as_written(*field, item)).collect();
        names.sort_by_key(|(place, _)| *place);
        let names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
        let _ = write!(out, ",fields({})", names.join(","));
    }
    if *param != 0 {
        let _ = write!(out, ",selection_method_param={param:#x}");
    }
    for bucket in &group.buckets {
        out.push_str(",bucket=");
        let _ = write_bucket(bucket, &mut out);
    }
    out
}

/// Where the text names the field, and how.
fn as_written(field: Field, item: &str) -> (usize, String) {
    let name = field.name();
    // Ports have a name that leaves the protocol open.
    let general = name.replace("tcp_", "tp_");
    let place = |name: &str| item.find(name);
    match (place(name), place(&general)) {
        (Some(at), _) => (at, name.to_owned()),
        (None, Some(at)) => (at, general),
        (None, None) => (usize::MAX, name.to_owned()),
    }
}

fn write_bucket(bucket: &Bucket, out: &mut String) -> fmt::Result {
    let actions: Vec<Action> = bucket.actions.iter().collect();
    let is_port = |load: &FieldValue| load.field.same(Field::reg(reg::OUTPORT));
    let to_port = matches!(&actions[..], [Action::SetField(load), ..] if is_port(load));
    if let Some(port) = bucket.watch_port {
        write!(out, "watch_port:{port},")?;
    }
    if !to_port {
        write!(out, "bucket_id={},weight:{},actions=", bucket.bucket_id, bucket.weight.unwrap_or(0))?;
    }
    for (i, action) in actions.iter().enumerate() {
        out.push_str(if i > 0 { "," } else { "" });
        match action {
            Action::Ct(ct) => write_ct(ct, out)?,
            Action::SetField(load) => {
                let (first, len) = (load.mask.trailing_zeros(), load.mask.count_ones());
                let (value, last) = (load.value >> first, first + len - 1);
                if to_port {
                    write!(out, "load={value:#x}->{}[{first}..{last}]", load.field.info().wire_name)?;
                } else {
                    write!(out, "load:{value}->{}[{first}..{last}]", load.field.name())?;
                }
            }
            other => write!(out, "{other}")?,
        }
    }
    Ok(())
}

/// What translates stands first.
fn write_ct(ct: &Ct, out: &mut String) -> fmt::Result {
    let (translation, rest): (Vec<Action>, Vec<Action>) =
        ct.exec.iter().partition(|action| matches!(action, Action::Nat(_)));
    out.push_str("ct(");
    for nat in translation {
        write!(out, "{nat},")?;
    }
    let bare = Action::Ct(Box::new(Ct { exec: Actions::none(), ..ct.clone() })).to_string();
    out.push_str(bare.trim_start_matches("ct(").trim_end_matches(')'));
    for (i, action) in rest.iter().enumerate() {
        out.push_str(if i > 0 { "," } else { ",exec(" });
        match action {
            Action::SetField(load) => {
                write!(out, "set_field:{}/{}->{}", load.value, load.mask, load.field.name())?;
            }
            other => write!(out, "{other}")?,
        }
    }
    out.push_str(if rest.is_empty() { ")" } else { "))" });
    Ok(())
}
