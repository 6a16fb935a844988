//! Address sets, as wholes and member by member: flows that compare a field with a set once are made for each member alone,
//! so that one that comes or goes touches nothing else.

use crate::tables::Ctx;
use kiln_logical::AddressSet;
use kiln_logical::constant::Format;
use kiln_logical::cubes::Cube;
use kiln_ovsdb::Text;
use kiln_types::SharedSet;
use std::sync::{Arc, OnceLock};

/// An address set; two are equal if they have the same members. Flows that need it whole are few: it is read for the first
/// of them.
#[derive(Clone, Debug)]
pub struct Set {
    members: SharedSet<Text>,
    parsed: Arc<OnceLock<Arc<AddressSet>>>,
}

impl Set {
    /// What it holds.
    pub(crate) fn parsed(&self) -> &Arc<AddressSet> {
        // Members that are no addresses are reported one by one.
        self.parsed.get_or_init(|| Arc::new(AddressSet::parse(self.members.iter().map(|text| &**text)).0))
    }
}

impl PartialEq for Set {
    fn eq(&self, other: &Set) -> bool {
        self.members == other.members
    }
}

/// How a member is written: the width of its notation, if that has one, and its mask. The members of a set have few forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Form {
    width: Option<u8>,
    mask: u128,
}

/// A member: its form, and what its addresses have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    form: Form,
    value: u128,
}

impl Member {
    pub(crate) fn cube(self) -> Cube {
        Cube { value: self.value, mask: self.form.mask }
    }

    /// What a member of that form would be that holds this one.
    fn within(self, form: Form) -> Member {
        Member { form, value: self.value & form.mask }
    }
}

/// A set with more forms than this is not taken apart.
const MAX_FORMS: usize = 64;

pub(crate) fn address_set(ctx: &Ctx<'_>, name: &Text, out: &mut Vec<(Text, Set)>) {
    let rows = ctx.all(&ctx.sets_named, name).iter().filter_map(|row| ctx.row(&ctx.sb.address_set, row));
    let rows: Vec<&SharedSet<Text>> = rows.map(|row| row.addresses()).collect();
    let members = match rows.as_slice() {
        [] => return,
        [only] => (*only).clone(),
        several => several.iter().flat_map(|members| members.iter()).cloned().collect(),
    };
    out.push((name.clone(), Set { members, parsed: Arc::default() }));
}

/// The members of a set, as they are written.
pub(crate) fn texts(ctx: &Ctx<'_>, name: &Text, out: &mut Vec<(Text, SharedSet<Text>)>) {
    out.extend(ctx.value(&ctx.address_sets, name).map(|set| (name.clone(), set.members.clone())));
}

/// A member.
pub(crate) fn member(ctx: &Ctx<'_>, (name, text): &(Text, Text), out: &mut Vec<(Text, Member)>) {
    let (parsed, bad) = AddressSet::parse([&**text]);
    for (_, error) in bad {
        ctx.report(format!("Address_Set {name}: column addresses: \"{text}\": {error}"));
    }
    out.extend(parsed.iter().map(|constant| {
        let Cube { value, mask } = constant.cube();
        (name.clone(), Member { form: Form { width: constant.format.width(), mask }, value })
    }));
}

/// The form of a member.
pub(crate) fn form(_: &Ctx<'_>, (name, member): &(Text, Member), out: &mut Vec<(Text, Form)>) {
    out.push((name.clone(), member.form));
}

/// A member that no other one holds.
pub(crate) fn alternative(ctx: &Ctx<'_>, (name, member): &(Text, Member), out: &mut Vec<(Text, Member)>) {
    let forms = ctx.all(&ctx.set_forms, name);
    let wider = |form: &&Form| form.mask != member.form.mask && form.mask & member.form.mask == form.mask;
    let is_held = |form: &Form| ctx.has_pair(&ctx.set_members, name, &member.within(*form));
    if forms.len() <= MAX_FORMS && !forms.iter().filter(wider).any(is_held) {
        out.push((name.clone(), *member));
    }
}

/// The width of the notation of a set's members, if the set can be taken apart: they have all the same one, and there are two
/// or more of which none holds another.
pub(crate) fn apart(ctx: &Ctx<'_>, name: &Text, out: &mut Vec<(Text, u8)>) {
    let forms = ctx.all(&ctx.set_forms, name);
    let (Some(first), Some(last)) = (forms.first(), forms.last()) else { return };
    // In the order of widths.
    let width = first.width.filter(|width| last.width == Some(*width) && forms.len() <= MAX_FORMS);
    if ctx.has_several(&ctx.set_alternatives, name) {
        out.extend(width.map(|width| (name.clone(), width)));
    }
}

/// The notation of a set's members if the set can be taken apart.
pub(crate) fn notation(ctx: &Ctx<'_>, name: &str) -> Option<Format> {
    let width = ctx.value(&ctx.sets_apart, &name.into())?;
    [Format::Ipv4, Format::Ipv6, Format::Ethernet].into_iter().find(|format| format.width() == Some(*width))
}
