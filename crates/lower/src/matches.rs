//! What a match accepts, as flows of the switch.
//!
//! Each conjunction of the normal form becomes one flow, or one for each alternative where one field has several. Where two
//! or more fields do, the alternatives are not multiplied out: each becomes a part of a conjunctive match
//! (ovs-fields(7), Conjunctive Match Fields), and one more flow, on `conj_id`, has the actions.

use crate::env::Names;
use crate::{fields, prerequisite};
use kiln_logical::cubes::Cube;
use kiln_logical::expr::{self, Expr};
use kiln_logical::normal::{Choice, Conjunction, Term};
use kiln_logical::{Error, Field as Logical, TooComplex, expand_templates, normalize};
use kiln_openflow::{Field, FieldValue, Match, MatchBuilder};
use kiln_types::HashSet;
use smallvec::SmallVec;

/// A conjunctive match may have 64 dimensions (ovs-actions(7), conjunction), more than there are fields to be one.
const _: () = assert!(Logical::ALL.len() <= 64);

/// What a flow is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// It has the logical flow's actions.
    Actions,
    /// It is alternative of dimension `clause` (from 0) of `n_clauses` of conjunction `id`.
    Conjunction {
        /// The conjunction's number.
        id: u32,
        /// Which dimension.
        clause: u8,
        /// How many there are.
        n_clauses: u8,
    },
}

/// The flows that a match becomes. Two parts of different conjunctions may have the same match: in the switch they are one
/// flow, as they may be with those of another logical flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lowered {
    /// Matches, and what each is for. No match has actions and a part as well.
    pub flows: Vec<(Match, Part)>,
    /// How many conjunction numbers are used, from the base on.
    pub conjunctions: u32,
}

/// Why a match cannot be lowered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// The text is not an expression.
    #[error(transparent)]
    Syntax(#[from] Error),
    /// The expression is too large when multiplied out.
    #[error("{0}")]
    TooComplex(#[from] TooComplex),
    /// Some bits of a field are tested that a switch only compares whole.
    #[error("column {column}: expected a test of the whole field {field}, found one of its bits {mask:#x}")]
    PartOfField {
        /// Where the text tests it, counted in bytes from 1.
        column: usize,
        /// The field.
        field: Logical,
        /// The bits that are tested.
        mask: u128,
    },
    /// A field is tested without what says that packets have it; negated predicates do that.
    #[error(
        "column {column}: expected {needed} beside a test of {field}, found nothing that a switch could check"
    )]
    Prerequisite {
        /// Where the text tests it, counted in bytes from 1.
        column: usize,
        /// The field.
        field: Logical,
        /// What has to be tested too.
        needed: &'static str,
    },
}

impl LowerError {
    /// The same with the column in the text that the expression was read from.
    #[must_use]
    pub fn in_text(self, text: &str) -> LowerError {
        let column_of = |field| expr::column_of(text, field).unwrap_or(1);
        match self {
            LowerError::PartOfField { field, mask, .. } => {
                LowerError::PartOfField { column: column_of(field), field, mask }
            }
            LowerError::Prerequisite { field, needed, .. } => {
                LowerError::Prerequisite { column: column_of(field), field, needed }
            }
            other => other,
        }
    }
}

/// Lowers the text of a match. `context` holds what every flow matches besides, such as the datapath; `base` gives the first
/// conjunction number.
pub fn lower_match(
    text: &str,
    names: &dyn Names,
    context: &[FieldValue],
    base: u32,
) -> Result<Lowered, LowerError> {
    let text = expand_templates(text, names);
    let expr = expr::parse(&text, names)?.annotate();
    lower_expr(expr, names, context, base).map_err(|error| error.in_text(&text))
}

/// Lowers an annotated expression, as [`lower_match`]. Errors name the first column: see [`LowerError::in_text`].
pub fn lower_expr(
    expr: Expr<'_>,
    names: &dyn Names,
    context: &[FieldValue],
    base: u32,
) -> Result<Lowered, LowerError> {
    let expr = expr.simplify(&mut |port| names.is_resident(port))?;
    let form = normalize(&expr)?;
    let mut fixed = Match::builder();
    for value in context {
        fixed.set(*value);
    }
    let mut lowering = Lowering { names, context: fixed, base, out: Lowered::default() };
    for conjunction in &form.conjunctions {
        lowering.conjunction(conjunction)?;
    }
    let mut out = lowering.out;
    if form.conjunctions.len() > 1 {
        drop_redundant(&mut out.flows);
    }
    Ok(out)
}

/// Drops what stands twice, and parts of conjunctions whose match has the actions without more ado.
fn drop_redundant(flows: &mut Vec<(Match, Part)>) {
    let acting: HashSet<&[u8]> = flows
        .iter()
        .filter(|(_, part)| *part == Part::Actions)
        .map(|(matched, _)| matched.as_oxm())
        .collect();
    let mut seen = HashSet::default();
    let keep: Vec<bool> = flows
        .iter()
        .map(|flow| {
            let (matched, part) = flow;
            seen.insert(flow) && (*part == Part::Actions || !acting.contains(matched.as_oxm()))
        })
        .collect();
    let mut keep = keep.into_iter();
    flows.retain(|_| keep.next().unwrap_or(true));
}

struct Lowering<'a> {
    names: &'a dyn Names,
    context: MatchBuilder,
    base: u32,
    out: Lowered,
}

/// What a term comes to in the switch.
type Alternatives = SmallVec<[FieldValue; 2]>;

impl Lowering<'_> {
    fn conjunction(&mut self, conjunction: &Conjunction<'_>) -> Result<(), LowerError> {
        let mut common = self.context.clone();
        let mut dimensions: SmallVec<[Alternatives; 2]> = SmallVec::new();
        for term in conjunction.terms.iter().filter(|term| !is_lost(term, conjunction)) {
            let values = self.alternatives(term, conjunction)?;
            match values.as_slice() {
                // Ports that nobody knows, or a tag that cannot be: no packet is like that.
                [] => return Ok(()),
                [one] if contradicts(&common, *one) => return Ok(()),
                [one] => drop(common.set(*one)),
                _ => dimensions.push(values),
            }
        }
        for values in &mut dimensions {
            values.retain(|value| !contradicts(&common, *value));
        }
        match dimensions.as_slice() {
            [] => self.out.flows.push((common.build(), Part::Actions)),
            any if any.iter().any(SmallVec::is_empty) => {}
            [one] => {
                for value in one {
                    self.flow(&common, *value, Part::Actions);
                }
            }
            many => self.conjunctive(&common, many),
        }
        Ok(())
    }

    fn conjunctive(&mut self, common: &MatchBuilder, dimensions: &[Alternatives]) {
        let id = self.base.wrapping_add(self.out.conjunctions);
        self.out.conjunctions += 1;
        let n_clauses = dimensions.len() as u8;
        for (clause, values) in (0..).zip(dimensions) {
            for value in values {
                self.flow(common, *value, Part::Conjunction { id, clause, n_clauses });
            }
        }
        // The flow that acts repeats what its actions need to be known of the packet, such as that it is IP.
        self.flow(common, FieldValue::exact(Field::CONJ_ID, u128::from(id)), Part::Actions);
    }

    fn flow(&mut self, common: &MatchBuilder, value: FieldValue, part: Part) {
        let mut builder = common.clone();
        builder.set(value);
        self.out.flows.push((builder.build(), part));
    }

    fn alternatives(&self, term: &Term<'_>, within: &Conjunction<'_>) -> Result<Alternatives, LowerError> {
        match &term.choice {
            Choice::Cube(cube) => numbers(term.field, std::slice::from_ref(cube), within),
            Choice::Cubes(cubes) => numbers(term.field, cubes.as_slice(), within),
            Choice::Name(name) => Ok(self.port(term.field, name).into_iter().collect()),
            Choice::Names(names) => {
                let mut values: Alternatives =
                    names.iter().filter_map(|name| self.port(term.field, name)).collect();
                values.sort_unstable_by_key(|value| value.value);
                values.dedup();
                Ok(values)
            }
        }
    }

    fn port(&self, field: Logical, name: &str) -> Option<FieldValue> {
        // How northd asks whether a port was chosen at all.
        let key = if name == "none" { 0 } else { self.names.matched_port_key(field, name)? };
        Some(FieldValue::exact(fields::of(field), u128::from(key)))
    }
}

/// Whether a term is left out since the switch could not check it: the connection tracker knows no flags of TCP, and the packet's
/// own can be told only where its own protocol is. Stock controllers leave them out as well.
fn is_lost(term: &Term<'_>, within: &Conjunction<'_>) -> bool {
    term.field == Logical::TcpFlags
        && fields::is_of_connection(within)
        && prerequisite::lacking(within, Field::TCP_FLAGS.info().prereq).is_some()
}

fn numbers(field: Logical, cubes: &[Cube], within: &Conjunction<'_>) -> Result<Alternatives, LowerError> {
    let of = fields::within(field, within);
    let info = of.info();
    if let Some(needed) = prerequisite::lacking(within, info.prereq) {
        return Err(LowerError::Prerequisite { column: 1, field, needed });
    }
    if !info.maskable
        && let Some(part) = cubes.iter().find(|cube| cube.mask != field.mask())
    {
        return Err(LowerError::PartOfField { column: 1, field, mask: part.mask });
    }
    let first_only = field == Logical::IpFrag && prerequisite::looks_behind_ip(within);
    let possible = cubes.iter().filter(|cube| !first_only || cube.value & prerequisite::LATER_FRAGMENT == 0);
    Ok(possible.map(|cube| FieldValue::masked(of, cube.value, cube.mask)).collect())
}

/// Whether no packet has what `common` says and `value` too. Two fields of the language may lie in one of the switch:
/// `inport` and `__inport`, `remote_outport` and `reg1`.
fn contradicts(common: &MatchBuilder, value: FieldValue) -> bool {
    common.overlaps(value)
        && common
            .build()
            .get(value.field)
            .is_some_and(|said| (said.value ^ value.value) & said.mask & value.mask != 0)
}
