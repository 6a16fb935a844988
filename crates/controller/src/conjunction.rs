//! Numbers of conjunctions: a run of them for each logical flow on each datapath that needs any, from a hash of both on,
//! moved up where runs would overlap. The numbers follow from the set of flows alone, whatever came first.

use crate::logical_flow::Site;
use crate::tables::Db;
use kiln_incr::Target;
use std::collections::BTreeMap;

/// How many numbers a flow on a datapath needs.
pub(crate) type Need = (Site, u32);

#[derive(Debug, Default)]
struct Run {
    len: u32,
    start: u32,
}

/// The needs, in the order in which runs follow each other.
#[derive(Debug, Default)]
pub struct Conjunctions {
    runs: BTreeMap<(u32, Site), Run>,
    gone: Vec<Site>,
    changed: bool,
}

/// Where a site's run starts if nothing is in its way. The upper half of all numbers is left for runs that are moved up,
/// and for [`unforeseen`].
fn hash(site: &Site) -> u32 {
    let bits = site.0.as_u128() ^ site.1.as_u128().rotate_left(61);
    let folded = (bits >> 64) as u64 ^ bits as u64;
    let mixed = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 34) as u32).max(1)
}

/// The first number for a flow that nothing showed to need any.
pub(crate) fn unforeseen(site: &Site) -> u32 {
    hash(site) | 1 << 31
}

/// Whether the text of a match may come to a conjunction: something in it is a choice.
pub(crate) fn is_likely(text: &str) -> bool {
    text.bytes().any(|b| matches!(b, b'{' | b'$' | b'@' | b'|' | b'!' | b'<' | b'>' | b'^'))
}

impl Target for Conjunctions {
    type Written = Vec<Need>;
    type Id = Need;

    fn replace(&mut self, old: &[Need], new: &mut Vec<Need>) -> Box<[Need]> {
        if *old == **new {
            return new.drain(..).collect();
        }
        for (site, _) in old {
            self.runs.remove(&(hash(site), *site));
            self.gone.push(*site);
        }
        for (site, len) in &*new {
            self.runs.insert((hash(site), *site), Run { len: *len, start: 0 });
        }
        self.changed = true;
        new.drain(..).collect()
    }
}

/// Gives every run its place.
pub(crate) fn grant(db: &mut Db) {
    let Db { conjunctions, conjunction_ids, .. } = db;
    if !std::mem::take(&mut conjunctions.changed) {
        return;
    }
    for site in std::mem::take(&mut conjunctions.gone) {
        if !conjunctions.runs.contains_key(&(hash(&site), site)) {
            conjunction_ids.delete(&site);
        }
    }
    let mut next = 1;
    for ((wish, site), run) in &mut conjunctions.runs {
        let start = next.max(*wish);
        next = start.saturating_add(run.len);
        if run.start != start {
            run.start = start;
            conjunction_ids.put(*site, start);
        }
    }
}

impl Conjunctions {
    /// Every run: the flow's row and the datapath's, the first number and how many there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Site, u32, u32)> {
        self.runs.iter().map(|((_, site), run)| (site, run.start, run.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_types::Uuid;

    fn starts(db: &mut Db) -> Vec<(u32, u32)> {
        grant(db);
        let runs: Vec<_> = db.conjunctions.iter().map(|(site, start, len)| (*site, start, len)).collect();
        for (site, start, _) in &runs {
            assert_eq!(db.conjunction_ids.peek(site), Some(start));
        }
        runs.into_iter().map(|(_, start, len)| (start, len)).collect()
    }

    #[test]
    fn runs_never_overlap_and_follow_from_the_set_alone() {
        // Runs long enough to be in each other's way.
        let site = |n: u128| (Uuid::from_u128(n), Uuid::from_u128(7));
        let needs: Vec<Need> = (1..40).map(|n| (site(n << 96), 1 << 27)).collect();
        let mut forth = Db::default();
        let mut back = Db::default();
        for need in &needs {
            forth.conjunctions.replace(&[], &mut vec![*need]);
            grant(&mut forth);
        }
        for need in needs.iter().rev() {
            back.conjunctions.replace(&[], &mut vec![*need]);
            grant(&mut back);
        }
        let extra = (site(3), 1 << 27);
        back.conjunctions.replace(&[], &mut vec![extra]);
        grant(&mut back);
        back.conjunctions.replace(&[extra], &mut vec![]);
        assert_eq!(starts(&mut forth), starts(&mut back));
        assert_eq!(back.conjunction_ids.peek(&extra.0), None);
        let mut small: Vec<Need> = (1..2000).map(|n| (site(n << 64), 3)).collect();
        let mut db = Db::default();
        db.conjunctions.replace(&[], &mut small);
        let runs = starts(&mut db);
        assert!(runs.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    }
}
