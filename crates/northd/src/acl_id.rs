//! ACL_ID: the numbers by which connections remember the ACL that allowed them for good (`options:persist-established`).

use crate::keys::{Ask, Space};
use crate::switch::acl;
use crate::tables::{Ctx, Db};
use kiln_incr::Target;
use kiln_schema_ovn::sb;
use kiln_types::{HashSet, Uuid};
use std::collections::BTreeSet;

/// What fits into the column and the connection's label; 0 is no ACL.
const RANGE: std::ops::RangeInclusive<u32> = 1..=32767;

/// Who has which number.
#[derive(Debug, Default)]
pub(crate) struct AclIds {
    asking: HashSet<Uuid>,
    dirty: BTreeSet<Uuid>,
    numbers: Space<Uuid>,
}

impl Target for AclIds {
    type Written = Vec<Uuid>;
    type Id = Uuid;

    fn replace(&mut self, old: &[Uuid], new: &mut Vec<Uuid>) -> Box<[Uuid]> {
        for acl in old {
            self.asking.remove(acl);
        }
        self.asking.extend(&*new);
        self.dirty.extend(old.iter().chain(&*new));
        new.drain(..).collect()
    }
}

pub(crate) fn request(ctx: &Ctx<'_>, acl: &Uuid, out: &mut Vec<Uuid>) {
    if ctx.row(&ctx.nb.acl, acl).is_some_and(|row| acl::persists(&row)) {
        out.push(*acl);
    }
}

/// Gives out numbers.
pub(crate) fn grant(db: &mut Db) {
    let Db { acl_ids: state, want_acl_id, sb, .. } = db;
    let (asking, gone): (Vec<Uuid>, Vec<Uuid>) =
        std::mem::take(&mut state.dirty).into_iter().partition(|acl| state.asking.contains(acl));
    let ask = |acl: Uuid| {
        let standing = sb.acl_id.peek(&acl).map(|row| row.id as u32);
        (acl, Ask { wish: None, standing })
    };
    let asks: Vec<(Uuid, Ask)> = asking.into_iter().map(ask).collect();
    for acl in &gone {
        want_acl_id.delete(acl);
    }
    for (acl, number) in state.numbers.settle(&gone, &asks, &RANGE, &|number| RANGE.contains(&number)) {
        match number {
            Some(number) => want_acl_id.put(acl, sb::AclId { id: i64::from(number) }),
            None => drop(want_acl_id.delete(&acl)),
        }
    }
}

/// The number of an ACL.
pub(crate) fn of(ctx: &Ctx<'_>, acl: &Uuid) -> Option<i64> {
    ctx.value(&ctx.want_acl_id, acl).map(|row| row.id)
}
