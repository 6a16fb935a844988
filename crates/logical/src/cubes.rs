//! Sets of values of one numeric field, as the matches of a switch can say them.
//!
//! A cube is a value and a mask: the values that agree with it where the mask has ones. A set is a union of cubes,
//! none within another. Sets of prefixes, which is what nearly all of them are, are united and intersected in linear
//! time; others pairwise, within a bound.

use crate::error::{TooComplex, Work};
use std::sync::Arc;

/// The values `v` with `v & mask == value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cube {
    /// Zero outside the mask.
    pub value: u128,
    /// Which bits count.
    pub mask: u128,
}

impl Cube {
    /// Every value.
    pub const ANY: Cube = Cube { value: 0, mask: 0 };

    /// The values in both.
    pub fn intersect(self, other: Cube) -> Option<Cube> {
        ((self.value ^ other.value) & self.mask & other.mask == 0)
            .then_some(Cube { value: self.value | other.value, mask: self.mask | other.mask })
    }

    /// Whether every value of `other` is in this cube.
    pub fn contains(self, other: Cube) -> bool {
        self.mask & other.mask == self.mask && other.value & self.mask == self.value
    }

    /// Whether `value` is in it.
    pub fn has(self, value: u128) -> bool {
        value & self.mask == self.value
    }

    /// The cube at `shift` bits further up, of the bits below `len`.
    #[must_use]
    pub fn shifted(self, shift: u8, mask: u128) -> Cube {
        Cube { value: (self.value & mask) << shift, mask: (self.mask & mask) << shift }
    }
}

/// The most cubes that sets of one field may multiply out to, where they are no prefixes and none has more. Each becomes a flow.
const MAX_CUBES: usize = 1 << 18;

/// How many masks are held against a cube's in the time that one step of [`Work`] stands for.
const MASKS_PER_STEP: usize = 4;

/// A set of values: a union of cubes, in order, none within another as far as there was work to spare. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CubeSet(Arc<[Cube]>);

impl Default for CubeSet {
    fn default() -> Self {
        CubeSet::from_minimal(Vec::new())
    }
}

impl FromIterator<Cube> for CubeSet {
    fn from_iter<I: IntoIterator<Item = Cube>>(cubes: I) -> Self {
        CubeSet::new(cubes.into_iter().collect(), &mut Work::default())
    }
}

impl CubeSet {
    /// The union of `cubes`. Where they are not prefixes and there is too little work to spare, cubes may stay that lie
    /// within others.
    pub fn new(mut cubes: Vec<Cube>, work: &mut Work) -> Self {
        minimize(&mut cubes, work);
        CubeSet(cubes.into())
    }

    /// The values of one cube.
    pub fn of(cube: Cube) -> Self {
        CubeSet::from_minimal(vec![cube])
    }

    fn from_minimal(cubes: Vec<Cube>) -> Self {
        CubeSet(cubes.into())
    }

    /// The cubes.
    pub fn as_slice(&self) -> &[Cube] {
        &self.0
    }

    /// The cubes, shared.
    pub(crate) fn into_shared(self) -> Arc<[Cube]> {
        self.0
    }

    /// The union of cubes that are shared, without copying if they are in order and minimal already.
    pub(crate) fn from_shared(cubes: &Arc<[Cube]>, work: &mut Work) -> CubeSet {
        let increasing = cubes.windows(2).all(|w| w[0] < w[1]);
        let disjoint = || cubes.windows(2).all(|w| !w[0].contains(w[1]));
        let uniform = || cubes.windows(2).all(|w| w[0].mask == w[1].mask);
        if increasing && (uniform() || (is_prefixes(cubes) && disjoint())) {
            CubeSet(cubes.clone())
        } else {
            CubeSet::new(cubes.to_vec(), work)
        }
    }

    /// Number of cubes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no value is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `value` is in it.
    pub fn has(&self, value: u128) -> bool {
        self.0.iter().any(|cube| cube.has(value))
    }

    /// The values in both.
    pub fn intersect(&self, other: &CubeSet, work: &mut Work) -> Result<CubeSet, TooComplex> {
        let (few, many) = if self.len() <= other.len() { (self, other) } else { (other, self) };
        if few.is_empty() {
            return Ok(few.clone());
        }
        if few.len() > 1 && is_prefixes(&few.0) && is_prefixes(&many.0) && same_top(&few.0, &many.0) {
            work.charge(few.len() + many.len())?;
            return Ok(CubeSet::from_minimal(intersect_prefixes(&few.0, &many.0)));
        }
        work.charge(few.len().saturating_mul(many.len()))?;
        let pairs = few.0.iter().flat_map(|a| many.0.iter().filter_map(|b| a.intersect(*b)));
        // What is a part of the larger set is no product.
        let limit = MAX_CUBES.max(many.len());
        let cubes: Vec<Cube> = pairs.take(limit + 1).collect();
        if cubes.len() > limit {
            return Err(TooComplex { limit, what: "values of one field when it is multiplied out" });
        }
        Ok(CubeSet::new(cubes, work))
    }

    /// The values in none of `cubes`, as maximal cubes: the bits that a mask has are split from the top.
    pub fn complement(cubes: &[Cube], work: &mut Work) -> Result<CubeSet, TooComplex> {
        match cubes {
            [] => Ok(CubeSet::of(Cube::ANY)),
            [cube] => Ok(complement_of_cube(*cube)),
            _ => {
                let mut sorted = cubes.to_vec();
                minimize(&mut sorted, work);
                if is_prefixes(&sorted) {
                    return Ok(CubeSet::from_minimal(complement_of_prefixes(&sorted)));
                }
                let mut rest = complement_of_cube(sorted[0]);
                for cube in &sorted[1..] {
                    rest = rest.intersect(&complement_of_cube(*cube), work)?;
                }
                Ok(rest)
            }
        }
    }

    /// The values from `low` to `high` of the `len` bits from `first` up, as the fewest prefixes.
    pub fn range(first: u8, len: u8, low: u128, high: u128) -> CubeSet {
        let mut cubes = Vec::new();
        let top = crate::field::ones(len);
        let mut at = low;
        while at <= high {
            // The largest block that starts here: as aligned as `at` is, and not past `high`.
            let aligned = if at == 0 { u32::from(len) } else { at.trailing_zeros() };
            let left = high - at;
            let fits = if left == u128::MAX { 128 } else { (left + 1).ilog2() };
            let bits = aligned.min(fits).min(u32::from(len)) as u8;
            let block = crate::field::ones(bits);
            cubes.push(Cube { value: at << first, mask: (top & !block) << first });
            match at.checked_add(block).and_then(|last| last.checked_add(1)) {
                Some(next) => at = next,
                None => break,
            }
        }
        cubes.sort_unstable();
        CubeSet::from_minimal(cubes)
    }
}

fn complement_of_cube(cube: Cube) -> CubeSet {
    let mut cubes = Vec::with_capacity(cube.mask.count_ones() as usize);
    let mut rest = cube.mask;
    while rest != 0 {
        let bit = 1 << rest.ilog2();
        rest &= !bit;
        let mask = cube.mask & !rest;
        cubes.push(Cube { value: (cube.value & mask) ^ bit, mask });
    }
    cubes.sort_unstable();
    CubeSet::from_minimal(cubes)
}

/// The highest bit that any mask has.
fn top_bit(cubes: &[Cube]) -> u32 {
    cubes.iter().map(|c| c.mask.leading_zeros()).min().unwrap_or(128)
}

fn same_top(a: &[Cube], b: &[Cube]) -> bool {
    top_bit(a) == top_bit(b)
}

/// Whether all masks are runs of ones from a common top bit down (or nothing).
fn is_prefixes(cubes: &[Cube]) -> bool {
    let top = top_bit(cubes);
    cubes.iter().all(|c| {
        let aligned = c.mask.checked_shl(top).unwrap_or(0);
        c.mask == 0
            || (c.mask.leading_zeros() == top && aligned.leading_ones() + aligned.trailing_zeros() >= 128)
    })
}

/// Sorts and removes cubes that lie within others.
fn minimize(cubes: &mut Vec<Cube>, work: &mut Work) {
    if cubes.len() < 2 {
        return;
    }
    cubes.sort_unstable();
    cubes.dedup();
    let mask = cubes[0].mask;
    if cubes.iter().all(|c| c.mask == mask) {
        return;
    }
    if is_prefixes(cubes) {
        // A prefix sorts before all that it contains, and what it contains follows it.
        let mut last: Option<Cube> = None;
        cubes.retain(|&cube| {
            let keep = !last.is_some_and(|outer| outer.contains(cube));
            if keep {
                last = Some(cube);
            }
            keep
        });
    } else {
        remove_contained(cubes, work);
    }
}

fn remove_contained(cubes: &mut Vec<Cube>, work: &mut Work) {
    let mut masks: Vec<u128> = cubes.iter().map(|c| c.mask).collect();
    masks.sort_unstable();
    masks.dedup();
    if !work.spare(cubes.len().saturating_mul(masks.len()) / MASKS_PER_STEP) {
        return;
    }
    let all = cubes.clone();
    cubes.retain(|cube| {
        !masks.iter().any(|&mask| {
            mask != cube.mask
                && mask & cube.mask == mask
                && all.binary_search(&Cube { value: cube.value & mask, mask }).is_ok()
        })
    });
}

/// Both in order and disjoint within themselves: a merge.
fn intersect_prefixes(a: &[Cube], b: &[Cube]) -> Vec<Cube> {
    let (mut i, mut j) = (0, 0);
    let mut out = Vec::new();
    while let (Some(&x), Some(&y)) = (a.get(i), b.get(j)) {
        if x.contains(y) {
            out.push(y);
            j += 1;
        } else if y.contains(x) {
            out.push(x);
            i += 1;
        } else if x.value < y.value {
            i += 1;
        } else {
            j += 1;
        }
    }
    out
}

/// `cubes` in order and disjoint. What lies between them, as the fewest prefixes.
fn complement_of_prefixes(cubes: &[Cube]) -> Vec<Cube> {
    let top = top_bit(cubes);
    if cubes.iter().any(|c| c.mask == 0) || top == 128 {
        return Vec::new();
    }
    // Work on the bits from the lowest that counts up to the top one.
    let low = cubes.iter().map(|c| c.mask.trailing_zeros()).min().unwrap_or(0);
    let len = (128 - top - low) as u8;
    let mut out = Vec::new();
    let mut next = 0;
    let mut full = false;
    for cube in cubes {
        let start = cube.value >> low;
        let end = start | (!cube.mask >> low & crate::field::ones(len));
        if next < start {
            out.extend_from_slice(CubeSet::range(low as u8, len, next, start - 1).as_slice());
        }
        match end.checked_add(1) {
            Some(after) => next = after,
            None => full = true,
        }
    }
    let last = crate::field::ones(len);
    if !full && next <= last {
        out.extend_from_slice(CubeSet::range(low as u8, len, next, last).as_slice());
    }
    out.sort_unstable();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BITS: u8 = 6;

    fn values(set: &CubeSet) -> Vec<u128> {
        (0..1 << BITS).filter(|v| set.has(*v)).collect()
    }

    fn cube() -> impl Strategy<Value = Cube> {
        (0u128..1 << BITS, 0u128..1 << BITS).prop_map(|(value, mask)| Cube { value: value & mask, mask })
    }

    fn prefix() -> impl Strategy<Value = Cube> {
        (0u128..1 << BITS, 0..=BITS).prop_map(|(value, len)| {
            let mask = crate::field::ones(BITS) & !crate::field::ones(BITS - len);
            Cube { value: value & mask, mask }
        })
    }

    fn cubes() -> impl Strategy<Value = Vec<Cube>> {
        prop_oneof![prop::collection::vec(cube(), 0..6), prop::collection::vec(prefix(), 0..12)]
    }

    proptest! {
        #[test]
        fn operations_mean_what_they_say(a in cubes(), b in cubes()) {
            let set = |cubes: &[Cube]| cubes.iter().copied().collect::<CubeSet>();
            let (x, y) = (set(&a), set(&b));
            let has = |cubes: &[Cube], v| cubes.iter().any(|c: &Cube| c.has(v));
            let expect = |f: &dyn Fn(u128) -> bool| (0..1 << BITS).filter(|v| f(*v)).collect::<Vec<u128>>();
            prop_assert_eq!(values(&x), expect(&|v| has(&a, v)));
            prop_assert_eq!(values(&x.intersect(&y, &mut Work::default()).unwrap()), expect(&|v| has(&a, v) && has(&b, v)));
            prop_assert_eq!(values(&set(&[a.clone(), b.clone()].concat())), expect(&|v| has(&a, v) || has(&b, v)));
            prop_assert_eq!(values(&CubeSet::complement(&a, &mut Work::default()).unwrap()), expect(&|v| !has(&a, v)));
            for set in [x.clone(), x.intersect(&y, &mut Work::default()).unwrap(), CubeSet::complement(&a, &mut Work::default()).unwrap()] {
                prop_assert!(set.as_slice().is_sorted());
                for (i, c) in set.as_slice().iter().enumerate() {
                    prop_assert!(set.as_slice().iter().enumerate().all(|(j, d)| i == j || !d.contains(*c)));
                }
            }
        }

        #[test]
        fn ranges_are_exact_and_smallest(low in 0u128..1 << BITS, high in 0u128..1 << BITS) {
            let set = CubeSet::range(0, BITS, low, high);
            prop_assert_eq!(values(&set), (low..=high).collect::<Vec<_>>());
            prop_assert!(set.len() <= 2 * usize::from(BITS - 1).max(1));
        }
    }

    #[test]
    fn ends_of_128_bits_do_not_overflow() {
        assert_eq!(CubeSet::range(0, 128, 0, u128::MAX).as_slice(), [Cube::ANY]);
        assert_eq!(CubeSet::range(0, 128, 1, u128::MAX).len(), 128);
        let ends = [Cube { value: 0, mask: u128::MAX }, Cube { value: u128::MAX, mask: u128::MAX }];
        assert_eq!(CubeSet::complement(&ends, &mut Work::default()).unwrap().len(), 2 * 127);
    }

    #[test]
    fn cubes_within_others_go_however_many_masks_there_are() {
        let bit = |at: u128| Cube { value: 1 << at, mask: 1 << at };
        let pairs = (0..127).filter_map(|at| bit(at).intersect(bit(at + 1)));
        assert_eq!((0..128).map(bit).chain(pairs).collect::<CubeSet>().len(), 128);
    }

    #[test]
    fn large_sets_of_prefixes_intersect_quickly_and_others_within_a_bound() {
        let hosts = |step: u128| (0..100_000).map(move |i| Cube { value: i * step, mask: 0xffff_ffff });
        let (a, b) = (hosts(2).collect::<CubeSet>(), hosts(3).collect::<CubeSet>());
        assert_eq!(a.intersect(&b, &mut Work::default()).unwrap().len(), 33_334);
        let odd: CubeSet = hosts(1).map(|c| Cube { value: c.value << 64, mask: c.mask << 64 | 1 }).collect();
        assert!(odd.intersect(&a, &mut Work::default()).is_err());
    }

    #[test]
    fn products_are_bounded() {
        // Anything but zero in each of some parts of a field.
        let parts = (0..4).map(|at| complement_of_cube(Cube { value: 0, mask: 0xffff_ffff << (32 * at) }));
        let product = |parts: usize, of: &mut dyn Iterator<Item = CubeSet>| {
            of.take(parts)
                .try_fold(CubeSet::of(Cube::ANY), |all, part| all.intersect(&part, &mut Work::default()))
        };
        assert_eq!(product(3, &mut parts.clone()).expect("three parts").len(), 32 * 32 * 32);
        let error = product(4, &mut parts.clone()).expect_err("a million");
        assert_eq!(error.limit, MAX_CUBES);
        // One cube that is no prefix, and more than that of another part of the field.
        let many = (0..=MAX_CUBES as u128).map(|i| Cube { value: i << 32, mask: 0xffff_ffff << 32 });
        let odd = CubeSet::of(Cube { value: 1, mask: 1 });
        let many = many.collect::<CubeSet>();
        assert_eq!(odd.intersect(&many, &mut Work::default()).expect("no product").len(), MAX_CUBES + 1);
    }
}
