//! VLAN tags of containers that share an interface with others, and those that operators ask for (ovn-nb(5),
//! Logical_Switch_Port, Containers).

use crate::outstanding::NbOp;
use crate::tables::Ctx;
use kiln_ovsdb::Text;
use kiln_types::{HashSet, Uuid};

/// A port with a tag or one that wants one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Child {
    /// Column `tag_request`; 0 for one that is to be chosen.
    request: Option<i64>,
    /// Column `tag`.
    tag: Option<i64>,
    port: Uuid,
}

/// Tags that can be chosen (IEEE 802.1Q, clause 9.6).
const TAGS: std::ops::RangeInclusive<i64> = 1..=4095;

/// The children of each parent; ports without one are under the empty name.
pub(crate) fn children(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Text, Child)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    let parent = row.parent_name().clone().unwrap_or_default();
    let request = row.tag_request();
    if parent.is_empty() && request.is_none_or(|request| request == 0) {
        return;
    }
    out.push((parent, Child { request, tag: row.tag(), port: *port }));
}

/// The tags of a parent's children: the one that was asked for; or the one that a child has; or the lowest that none has.
pub(crate) fn tags(ctx: &Ctx<'_>, parent: &Text, out: &mut Vec<(Uuid, i64)>) {
    let children = ctx.all(&ctx.children, parent);
    let fixed = |child: &Child| child.request.filter(|request| *request != 0);
    out.extend(children.iter().filter_map(|child| Some((child.port, fixed(child)?))));
    if parent.is_empty() {
        return;
    }
    let asks = |child: &&Child| child.request == Some(0);
    let others = children.iter().filter(|child| child.request.is_none()).filter_map(|child| child.tag);
    let mut taken: HashSet<i64> = children.iter().filter_map(fixed).chain(others).collect();
    let (keep, choose): (Vec<&Child>, Vec<&Child>) =
        children.iter().filter(asks).partition(|child| child.tag.is_some_and(|tag| taken.insert(tag)));
    out.extend(keep.iter().filter_map(|child| Some((child.port, child.tag?))));
    let mut free = TAGS.filter(|tag| !taken.contains(tag));
    for child in choose {
        match free.next() {
            Some(tag) => out.push((child.port, tag)),
            None => ctx.report(format!(
                "Logical_Switch_Port {}, column tag_request: `{parent}` has no tag left; none is chosen",
                child.port
            )),
        }
    }
}

/// Whether a port's `tag` has to be written.
pub(crate) fn northbound(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<NbOp>) {
    let Some(tag) = ctx.value(&ctx.tags, port) else { return };
    let row = ctx.row(&ctx.nb.logical_switch_port, port);
    if row.is_some_and(|row| row.tag() != Some(*tag)) {
        out.push(NbOp::Tag(*port, *tag));
    }
}
