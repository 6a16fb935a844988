//! The normal form: what the matches of a switch can say.
//!
//! A disjunction of conjunctions. A conjunction has at most one term a field; a term is a value of the field, or a
//! choice among several. Two or more choices in one conjunction are what a switch's conjunctive matches are for;
//! choices that other fields' meaning hangs on, and disjunctions over several fields, are multiplied out.

use crate::cubes::{Cube, CubeSet};
use crate::error::{TooComplex, Work};
use crate::expr::{Comparison, Expr, Names, Packet, Relop, Standing, Values, print_comparison};
use crate::field::Field;
use crate::symbol::SymbolId;
use crate::token::write_quoted;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The most conjunctions that an expression may multiply out to.
pub const MAX_CONJUNCTIONS: usize = 1 << 18;

/// The most disjunctions over several fields that may stand side by side in one conjunction.
const MAX_OPEN: usize = 64;

/// What a term allows its field to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'e> {
    /// One value, perhaps masked.
    Cube(Cube),
    /// One of several values.
    Cubes(CubeSet),
    /// The port of that name.
    Name(&'e str),
    /// One of several ports; a name may occur twice.
    Names(Arc<[&'e str]>),
}

impl Choice<'_> {
    /// Number of alternatives.
    pub fn len(&self) -> usize {
        match self {
            Choice::Cube(_) | Choice::Name(_) => 1,
            Choice::Cubes(cubes) => cubes.len(),
            Choice::Names(names) => names.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A field and what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term<'e> {
    /// The field.
    pub field: Field,
    /// What it may be.
    pub choice: Choice<'e>,
}

/// Terms that must all hold, one a field, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conjunction<'e> {
    /// The terms.
    pub terms: SmallVec<[Term<'e>; 6]>,
}

/// A disjunction of conjunctions. None: never holds. One without terms: always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NormalForm<'e> {
    /// The conjunctions.
    pub conjunctions: SmallVec<[Conjunction<'e>; 1]>,
}

/// Puts a simplified expression into normal form.
pub fn normalize<'e>(expr: &'e Expr<'_>) -> Result<NormalForm<'e>, TooComplex> {
    let mut out = Output::default();
    let mut partial = Partial::default();
    if partial.require(expr, &mut out.work)? {
        partial.finish(&mut out)?;
    }
    Ok(out.form)
}

/// The choices that a conjunction of an annotated expression's normal form may have, without working that out: no conjunction
/// has more.
pub fn most_choices(expr: &Expr<'_>) -> usize {
    match expr {
        Expr::Const(_) | Expr::Resident { .. } => 0,
        Expr::Number(Comparison { op: Relop::Eq, values: Values::One(_), .. }) => 0,
        Expr::Name { names: Names::One(_), .. } => 0,
        Expr::Number(_) | Expr::Name { .. } => usize::from(may_be_choice(expr)),
        Expr::And(terms) => terms.iter().map(most_choices).sum(),
        // One choice if what simplification leaves of it is of one field, else its terms are multiplied out.
        Expr::Or(terms) => terms.iter().map(most_choices).fold(usize::from(may_be_choice(expr)), usize::max),
    }
}

/// Whether it compares a field whose values are not multiplied out.
fn may_be_choice(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Number(comparison) => !field_of(comparison).multiplies_out(),
        Expr::Name { symbol, .. } => !root(*symbol).multiplies_out(),
        Expr::Const(_) | Expr::Resident { .. } => false,
        Expr::And(terms) | Expr::Or(terms) => terms.iter().any(may_be_choice),
    }
}

/// What came out so far, and what may still be spent.
#[derive(Debug, Default)]
struct Output<'e> {
    form: NormalForm<'e>,
    work: Work,
}

/// A conjunction that is being gathered.
#[derive(Clone, Debug, Default)]
struct Partial<'e, 'a> {
    terms: Conjunction<'e>,
    /// Disjunctions over several fields, still to be multiplied out.
    open: SmallVec<[Open<'e, 'a>; 2]>,
}

/// Alternatives that are to be multiplied out.
#[derive(Clone, Copy, Debug)]
enum Open<'e, 'a> {
    /// Disjuncts.
    Any(&'e [Expr<'a>]),
    /// The values of a comparison that stands apart.
    Each(&'e Comparison),
}

impl<'e, 'a> Partial<'e, 'a> {
    /// Adds that `expr` holds. False if that cannot be.
    fn require(&mut self, expr: &'e Expr<'a>, work: &mut Work) -> Result<bool, TooComplex> {
        match expr {
            Expr::Const(holds) => Ok(*holds),
            // Simplification has answered it; one that is left is not here.
            Expr::Resident { .. } => Ok(false),
            Expr::Number(comparison) if comparison.standing == Standing::Apart => {
                self.open(Open::Each(comparison))
            }
            Expr::Number(comparison) => match comparison.values {
                Values::One(cube) => self.terms.restrict(field_of(comparison), Choice::Cube(cube), work),
                Values::Many(_) => self.terms.restrict_by(field_of(comparison), expr, work),
            },
            Expr::Name { symbol, names } => self.terms.restrict(root(*symbol), names_choice(names), work),
            Expr::And(terms) => self.require_all(terms, work),
            Expr::Or(terms) => match only_field(expr) {
                Some(field) => self.terms.restrict_by(field, expr, work),
                None => self.open(Open::Any(terms)),
            },
        }
    }

    /// Adds that all of `terms` hold. What leaves one field of numbers several values waits for the rest and is then intersected
    /// together, which thousands of terms about one field need.
    fn require_all(&mut self, terms: &'e [Expr<'a>], work: &mut Work) -> Result<bool, TooComplex> {
        let mut several: BTreeMap<Field, Vec<&'e Expr<'a>>> = BTreeMap::new();
        for term in terms {
            if let Some(field) = several_numbers(term) {
                several.entry(field).or_default().push(term);
            } else if !self.require(term, work)? {
                return Ok(false);
            }
        }
        for (field, terms) in several {
            if !self.terms.restrict_by_all(field, &terms, work)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn open(&mut self, alternatives: Open<'e, 'a>) -> Result<bool, TooComplex> {
        if self.open.len() >= MAX_OPEN {
            let what = "disjunctions over several fields side by side";
            return Err(TooComplex { limit: MAX_OPEN, what });
        }
        self.open.push(alternatives);
        Ok(true)
    }

    /// Multiplies out what is open and hands the conjunctions on.
    fn finish(mut self, out: &mut Output<'e>) -> Result<(), TooComplex> {
        out.work.charge(1 + self.open.len())?;
        if let Some(open) = self.open.pop() {
            return match open {
                Open::Any(terms) => {
                    for term in terms {
                        self.branch_on(term, out)?;
                    }
                    Ok(())
                }
                Open::Each(comparison) => {
                    for cube in comparison.values.as_slice() {
                        let mut branch = self.clone();
                        if branch.terms.restrict(field_of(comparison), Choice::Cube(*cube), &mut out.work)? {
                            branch.finish(out)?;
                        }
                    }
                    Ok(())
                }
            };
        }
        let multiplied = |t: &Term<'_>| t.field.multiplies_out() && t.choice.len() > 1;
        let Some(at) = self.terms.terms.iter().position(multiplied) else {
            if out.form.conjunctions.len() >= MAX_CONJUNCTIONS {
                let what = "conjunctions when it is multiplied out";
                return Err(TooComplex { limit: MAX_CONJUNCTIONS, what });
            }
            out.form.conjunctions.push(self.terms);
            return Ok(());
        };
        if let Choice::Cubes(cubes) = self.terms.terms[at].choice.clone() {
            for cube in cubes.as_slice() {
                let mut branch = self.clone();
                branch.terms.terms[at].choice = Choice::Cube(*cube);
                branch.finish(out)?;
            }
        }
        Ok(())
    }

    fn branch_on(&self, term: &'e Expr<'a>, out: &mut Output<'e>) -> Result<(), TooComplex> {
        let mut branch = self.clone();
        let possible = match term {
            // Directly in a disjunction over several fields, each value is an alternative of its own.
            Expr::Number(comparison @ Comparison { values: Values::Many(_), .. })
                if comparison.standing != Standing::Together =>
            {
                branch.open(Open::Each(comparison))?
            }
            Expr::Name { symbol, names } if names.len() > 1 => {
                for name in names.iter() {
                    let mut branch = self.clone();
                    if branch.terms.restrict(root(*symbol), Choice::Name(name), &mut out.work)? {
                        branch.finish(out)?;
                    }
                }
                false
            }
            other => branch.require(other, &mut out.work)?,
        };
        if possible { branch.finish(out) } else { Ok(()) }
    }
}

fn root(symbol: SymbolId) -> Field {
    // Annotation leaves fields alone; anything else would be a flaw of annotation.
    symbol.get().root().map_or(Field::Xxreg0, |(field, _)| field)
}

fn field_of(comparison: &Comparison) -> Field {
    root(comparison.symbol)
}

fn names_choice<'e>(names: &'e Names<'_>) -> Choice<'e> {
    if let Names::One(name) = names { Choice::Name(name) } else { Choice::Names(names.iter().collect()) }
}

/// The one field that everything in it compares.
fn only_field(expr: &Expr<'_>) -> Option<Field> {
    match expr {
        Expr::Number(comparison) => Some(field_of(comparison)),
        Expr::Name { symbol, .. } => Some(root(*symbol)),
        Expr::Const(_) | Expr::Resident { .. } => None,
        Expr::And(terms) | Expr::Or(terms) => {
            let first = only_field(terms.first()?)?;
            terms[1..].iter().all(|t| only_field(t) == Some(first)).then_some(first)
        }
    }
}

/// The one field of numbers that the expression leaves several values, if it does nothing else and need not be multiplied out.
fn several_numbers(expr: &Expr<'_>) -> Option<Field> {
    match expr {
        Expr::Number(
            Comparison { standing: Standing::Apart, .. } | Comparison { values: Values::One(_), .. },
        ) => None,
        Expr::Number(comparison) => Some(field_of(comparison)),
        Expr::Or(_) => only_field(expr).filter(|_| !is_about_names(expr)),
        _ => None,
    }
}

/// Whether names are compared in it: of an expression over one field they are in all of it or in none.
fn is_about_names(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Name { .. } => true,
        Expr::And(terms) | Expr::Or(terms) => terms.first().is_some_and(is_about_names),
        Expr::Const(_) | Expr::Number(_) | Expr::Resident { .. } => false,
    }
}

/// Whether an expression over one field of numbers allows it to be `value`.
fn allows(expr: &Expr<'_>, value: u128) -> bool {
    match expr {
        Expr::Number(comparison) => comparison.values.as_slice().iter().any(|cube| cube.has(value)),
        Expr::And(terms) => terms.iter().all(|term| allows(term, value)),
        Expr::Or(terms) => terms.iter().any(|term| allows(term, value)),
        Expr::Const(_) | Expr::Name { .. } | Expr::Resident { .. } => false,
    }
}

/// What an expression over one field allows it to be.
fn choice_of<'e>(expr: &'e Expr<'_>, work: &mut Work) -> Result<Choice<'e>, TooComplex> {
    Ok(match expr {
        Expr::Number(comparison) => match comparison.values {
            Values::One(cube) => Choice::Cube(cube),
            Values::Many(ref cubes) => Choice::Cubes(CubeSet::from_shared(cubes, work)),
        },
        Expr::Name { names, .. } => names_choice(names),
        Expr::Const(_) | Expr::Resident { .. } => Choice::Cubes(CubeSet::default()),
        Expr::And(terms) if !is_about_names(expr) => all_of(terms, work)?,
        Expr::And(terms) => {
            let mut all = choice_of(&terms[0], work)?;
            for term in &terms[1..] {
                all = all.intersect(&choice_of(term, work)?, work)?;
            }
            all
        }
        Expr::Or(terms) => union(terms, work)?,
    })
}

/// What all of some expressions over one field of numbers allow it to be. The sets of fewest values are intersected first,
/// so that a large one is not gone through for each of many small ones.
fn all_of<'e, 'a: 'e>(
    terms: impl IntoIterator<Item = &'e Expr<'a>>,
    work: &mut Work,
) -> Result<Choice<'e>, TooComplex> {
    let mut sets: BTreeMap<(usize, usize), Choice<'e>> = BTreeMap::new();
    let mut made = 0;
    for term in terms {
        let choice = choice_of(term, work)?;
        sets.insert((choice.len(), made), choice);
        made += 1;
    }
    while let Some((_, least)) = sets.pop_first() {
        let Some((_, next)) = sets.pop_first() else { return Ok(least) };
        let both = least.intersect(&next, work)?;
        if both.is_empty() {
            return Ok(both);
        }
        sets.insert((both.len(), made), both);
        made += 1;
    }
    Ok(Choice::Cube(Cube::ANY))
}

fn union<'e>(terms: &'e [Expr<'_>], work: &mut Work) -> Result<Choice<'e>, TooComplex> {
    let (mut cubes, mut names) = (Vec::new(), Vec::new());
    for term in terms {
        match choice_of(term, work)? {
            Choice::Cube(cube) => cubes.push(cube),
            Choice::Cubes(set) => cubes.extend_from_slice(set.as_slice()),
            Choice::Name(name) => names.push(name),
            Choice::Names(several) => names.extend_from_slice(&several),
        }
    }
    Ok(if names.is_empty() {
        Choice::from_cubes(CubeSet::new(cubes, work))
    } else {
        names.sort_unstable();
        names.dedup();
        Choice::from_names(names)
    })
}

impl<'e> Choice<'e> {
    fn from_cubes(cubes: CubeSet) -> Self {
        match cubes.as_slice() {
            [one] => Choice::Cube(*one),
            _ => Choice::Cubes(cubes),
        }
    }

    fn from_names(names: Vec<&'e str>) -> Self {
        match names.as_slice() {
            [one] => Choice::Name(one),
            _ => Choice::Names(names.into()),
        }
    }

    fn cubes(&self) -> CubeSet {
        match self {
            Choice::Cube(cube) => CubeSet::of(*cube),
            Choice::Cubes(cubes) => cubes.clone(),
            Choice::Name(_) | Choice::Names(_) => CubeSet::default(),
        }
    }

    fn names(&self) -> &[&'e str] {
        match self {
            Choice::Name(name) => std::slice::from_ref(name),
            Choice::Names(names) => names,
            Choice::Cube(_) | Choice::Cubes(_) => &[],
        }
    }

    /// What both allow.
    fn intersect(&self, other: &Choice<'e>, work: &mut Work) -> Result<Choice<'e>, TooComplex> {
        Ok(match (self, other) {
            (Choice::Cube(a), Choice::Cube(b)) => match a.intersect(*b) {
                Some(cube) => Choice::Cube(cube),
                None => Choice::Cubes(CubeSet::default()),
            },
            (Choice::Name(_) | Choice::Names(_), _) => {
                work.charge(self.len() + other.len())?;
                let mut names = self.names().to_vec();
                let mut others = other.names().to_vec();
                others.sort_unstable();
                names.retain(|name| others.binary_search(name).is_ok());
                Choice::from_names(names)
            }
            _ => Choice::from_cubes(self.cubes().intersect(&other.cubes(), work)?),
        })
    }
}

impl<'e> Conjunction<'e> {
    /// Adds that `field` is among `choice`. False if nothing is left for it.
    fn restrict(&mut self, field: Field, choice: Choice<'e>, work: &mut Work) -> Result<bool, TooComplex> {
        match self.terms.binary_search_by_key(&field, |t| t.field) {
            Ok(at) => {
                let both = self.terms[at].choice.intersect(&choice, work)?;
                let possible = !both.is_empty();
                self.terms[at].choice = both;
                Ok(possible)
            }
            Err(at) => {
                let possible = !choice.is_empty();
                self.terms.insert(at, Term { field, choice });
                Ok(possible)
            }
        }
    }

    /// Adds what an expression over `field` allows it to be. False if nothing is left for it.
    fn restrict_by(&mut self, field: Field, expr: &'e Expr<'_>, work: &mut Work) -> Result<bool, TooComplex> {
        match self.value(field) {
            Some(value) => Ok(allows(expr, value)),
            None => {
                let choice = choice_of(expr, work)?;
                self.restrict(field, choice, work)
            }
        }
    }

    /// The same for several expressions.
    fn restrict_by_all(
        &mut self,
        field: Field,
        exprs: &[&'e Expr<'_>],
        work: &mut Work,
    ) -> Result<bool, TooComplex> {
        match self.value(field) {
            Some(value) => Ok(exprs.iter().all(|expr| allows(expr, value))),
            None => {
                let choice = all_of(exprs.iter().copied(), work)?;
                self.restrict(field, choice, work)
            }
        }
    }

    /// The one value that a field of numbers may have, if only one is left.
    fn value(&self, field: Field) -> Option<u128> {
        let at = self.terms.binary_search_by_key(&field, |term| term.field).ok()?;
        match self.terms[at].choice {
            Choice::Cube(Cube { value, mask }) if mask == field.mask() => Some(value),
            _ => None,
        }
    }

    /// The terms with several alternatives.
    pub fn choices(&self) -> impl Iterator<Item = &Term<'e>> {
        self.terms.iter().filter(|t| t.choice.len() > 1)
    }

    /// Whether it holds for `packet`.
    pub fn evaluate(&self, packet: &dyn Packet) -> bool {
        self.terms.iter().all(|term| match &term.choice {
            Choice::Cube(cube) => cube.has(packet.number(term.field)),
            Choice::Cubes(cubes) => cubes.has(packet.number(term.field)),
            choice => choice.names().contains(&packet.name(term.field)),
        })
    }
}

impl NormalForm<'_> {
    /// Whether it holds for `packet`.
    pub fn evaluate(&self, packet: &dyn Packet) -> bool {
        self.conjunctions.iter().any(|c| c.evaluate(packet))
    }
}

impl fmt::Display for Term<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        let mut or = |f: &mut fmt::Formatter<'_>| {
            if std::mem::take(&mut first) { Ok(()) } else { f.write_str(" || ") }
        };
        let mut cubes = self.choice.cubes().as_slice().to_vec();
        cubes.sort_by_key(|cube| (cube.mask.count_ones(), cube.value, cube.mask));
        for cube in cubes {
            or(f)?;
            print_comparison(f, SymbolId::of_field(self.field), cube)?;
        }
        for name in self.choice.names() {
            or(f)?;
            write!(f, "{} == ", self.field)?;
            write_quoted(f, name)?;
        }
        Ok(())
    }
}

impl fmt::Display for NormalForm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conjunctions.is_empty() {
            return f.write_str("0");
        }
        for (i, conjunction) in self.conjunctions.iter().enumerate() {
            if i > 0 {
                f.write_str(" || ")?;
            }
            let terms = &conjunction.terms;
            let outer = self.conjunctions.len() > 1 && terms.len() > 1;
            f.write_str(if outer { "(" } else { "" })?;
            if terms.is_empty() {
                f.write_str("1")?;
            }
            for (j, term) in terms.iter().enumerate() {
                f.write_str(if j > 0 { " && " } else { "" })?;
                if term.choice.len() > 1 && terms.len() > 1 {
                    write!(f, "({term})")?;
                } else {
                    write!(f, "{term}")?;
                }
            }
            f.write_str(if outer { ")" } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::env::NoNames;
    use crate::symbol::SYMBOLS;

    #[test]
    fn forms() {
        let cases = r#"
            1 => 1
            0 => 0
            ip4.src == {1.1.1.1, 2.2.2.2} => eth.type == 0x800 && (ip4.src == 0x1010101 || ip4.src == 0x2020202)
            ip4.src == {1.1.1.1, 1.1.1.0/24} => eth.type == 0x800 && ip4.src[8..31] == 0x10101
            ip4.src == 1.1.1.1 && ip4.src == 2.2.2.2 => 0
            ip4.src == {1.1.1.1, 2.2.2.2} && ip4.src == {2.2.2.2, 3.3.3.3} => eth.type == 0x800 && ip4.src == 0x2020202
            tcp || udp => (eth.type == 0x800 && ip.proto == 0x6) || (eth.type == 0x86dd && ip.proto == 0x6) || (eth.type == 0x800 && ip.proto == 0x11) || (eth.type == 0x86dd && ip.proto == 0x11)
            reg0 == {1, 2} && reg1 == 3 => xxreg0[64..127] == 0x100000003 || xxreg0[64..127] == 0x200000003
            ip4 && ip6 => 0
            inport == {"a", "b"} && inport == {"b", "c"} => inport == "b"
            inport == "a" || inport == {"b", "a"} => inport == "a" || inport == "b"
            reg0[0] || ip4.src == {1.1.1.1, 1.1.1.0/24} => xxreg0[96] || (eth.type == 0x800 && ip4.src == 0x1010101) || (eth.type == 0x800 && ip4.src[8..31] == 0x10101)
            ip4 && ip.is_frag => eth.type == 0x800 && ip.frag[0]
            ip4 && !ip.is_frag => eth.type == 0x800 && !ip.frag[0]
            (reg0[0..1] != {1, 2} || reg9 == 3) && ip4 => (eth.type == 0x800 && (xxreg0[96..97] == 0 || xxreg0[96..97] == 0x3)) || (eth.type == 0x800 && xreg4[0..31] == 0x3)
            (reg0[0..1] == {1, 2} || reg9 == 3) && ip4 => (eth.type == 0x800 && xxreg0[96..97] == 0x1) || (eth.type == 0x800 && xxreg0[96..97] == 0x2) || (eth.type == 0x800 && xreg4[0..31] == 0x3)
            (is_chassis_resident("a") || reg0[0..1] == {1, 2}) && ip4 => eth.type == 0x800 && (xxreg0[96..97] == 0x1 || xxreg0[96..97] == 0x2)
            (reg0[0..1] != 1 || reg9 == 3) && ip4 => (eth.type == 0x800 && xxreg0[96..97] == 0) || (eth.type == 0x800 && xxreg0[97]) || (eth.type == 0x800 && xreg4[0..31] == 0x3)
        "#;
        for case in cases.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (input, expected) = case.split_once(" => ").unwrap();
            let annotated = crate::expr::parse(input, &NoNames).unwrap().annotate();
            let most = super::most_choices(&annotated);
            let expr = annotated.simplify(&mut |_| false).unwrap();
            let form = super::normalize(&expr).unwrap();
            assert_eq!(form.to_string(), expected, "{input}");
            assert!(form.conjunctions.iter().all(|c| c.choices().count() <= most), "{input}: {most}");
        }
    }

    /// Each value that is left out costs the same, however many there are.
    #[test]
    fn many_values_left_out_one_by_one() {
        let ports: Vec<String> = (0..20_000).map(|i| (i * 3 + 1).to_string()).collect();
        let form = |text: &str| {
            let expr = crate::expr::parse(text, &NoNames).unwrap().annotate();
            super::normalize(&expr.simplify(&mut |_| false).unwrap()).unwrap().to_string()
        };
        let one_by_one =
            ports.iter().map(|port| format!("tcp.dst != {port}")).collect::<Vec<_>>().join(" && ");
        let together = format!("tcp.dst != {{{}}}", ports.join(", "));
        assert_eq!(form(&format!("ip4 && {one_by_one}")), form(&format!("ip4 && {together}")));
    }

    #[test]
    fn what_a_field_or_an_action_needs_is_no_choice() {
        // Actions need nothing that no field does.
        for name in SYMBOLS.iter().filter_map(|symbol| symbol.prerequisite) {
            let annotated = crate::expr::parse(name, &NoNames).unwrap().annotate();
            assert_eq!(super::most_choices(&annotated), 0, "{name}");
        }
        let choice = crate::expr::parse("ip.ttl == {0, 1}", &NoNames).unwrap().annotate();
        assert_eq!(super::most_choices(&choice), 1);
    }
}
