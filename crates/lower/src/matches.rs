//! What a match accepts, as flows of the switch.
//!
//! Each conjunction of the normal form becomes one flow, or one for each alternative where one field has several. Where two
//! or more fields do, the alternatives are not multiplied out: each becomes a part of a conjunctive match
//! (ovs-fields(7), Conjunctive Match Fields), and one more flow, on `conj_id`, has the actions.

use crate::env::Names;
use crate::fields;
use kiln_logical::cubes::Cube;
use kiln_logical::expr::{self, Expr};
use kiln_logical::normal::{Choice, Conjunction, Term};
use kiln_logical::{Error, TooComplex, expand_templates, normalize};
use kiln_openflow::{Field, FieldValue, Match, MatchBuilder};

/// Dimensions that a conjunctive match may have (ovs-actions(7), conjunction).
const MAX_DIMENSIONS: usize = 64;

/// What a flow is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The flows that a match becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lowered {
    /// Matches, and what each is for.
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
}

/// Lowers the text of a match. `context` holds what every flow matches besides, such as the datapath; `base` gives the first
/// conjunction number.
pub fn lower_match(
    text: &str,
    names: &dyn Names,
    context: &[FieldValue],
    base: u32,
) -> Result<Lowered, LowerError> {
    let text = expand_templates(text, &EnvironmentOf(names));
    let expr = expr::parse(&text, &EnvironmentOf(names))?.annotate();
    lower_expr(expr, names, context, base)
}

/// Lowers an annotated expression, as [`lower_match`].
pub fn lower_expr(
    expr: Expr<'_>,
    names: &dyn Names,
    context: &[FieldValue],
    base: u32,
) -> Result<Lowered, LowerError> {
    let expr = expr.simplify(&mut |port| names.is_resident(port))?;
    let form = normalize(&expr)?;
    let mut lowering = Lowering { names, context, base, out: Lowered::default() };
    for conjunction in &form.conjunctions {
        lowering.conjunction(conjunction);
    }
    Ok(lowering.out)
}

/// A [`Names`] where an [`kiln_logical::Environment`] is wanted.
struct EnvironmentOf<'a>(&'a dyn Names);

impl kiln_logical::Environment for EnvironmentOf<'_> {
    fn address_set(&self, name: &str) -> Option<std::sync::Arc<kiln_logical::AddressSet>> {
        self.0.address_set(name)
    }
    fn port_group(&self, name: &str) -> Option<std::sync::Arc<[std::sync::Arc<str>]>> {
        self.0.port_group(name)
    }
    fn template(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        self.0.template(name)
    }
    fn dhcp_option(&self, name: &str) -> Option<kiln_logical::env::OptionDef> {
        self.0.dhcp_option(name)
    }
    fn dhcpv6_option(&self, name: &str) -> Option<kiln_logical::env::OptionDef> {
        self.0.dhcpv6_option(name)
    }
}

struct Lowering<'a> {
    names: &'a dyn Names,
    context: &'a [FieldValue],
    base: u32,
    out: Lowered,
}

impl Lowering<'_> {
    fn conjunction(&mut self, conjunction: &Conjunction<'_>) {
        let mut common = Match::builder();
        for value in self.context {
            common.set(*value);
        }
        let mut dimensions: Vec<Vec<FieldValue>> = Vec::new();
        for term in &conjunction.terms {
            let mut values = self.alternatives(term);
            match values.len() {
                // A port that nobody knows: packets that it sends or gets do not exist.
                0 => return,
                1 => drop(common.set(values.remove(0))),
                _ => dimensions.push(values),
            }
        }
        if dimensions.len() > MAX_DIMENSIONS {
            return;
        }
        match dimensions.as_slice() {
            [] => self.out.flows.push((common.build(), Part::Actions)),
            [one] => {
                for value in one {
                    self.flow(&common, *value, Part::Actions);
                }
            }
            many => self.conjunctive(&common, many),
        }
    }

    fn conjunctive(&mut self, common: &MatchBuilder, dimensions: &[Vec<FieldValue>]) {
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

    fn alternatives(&self, term: &Term<'_>) -> Vec<FieldValue> {
        let field = fields::of(term.field);
        let number = |cube: &Cube| FieldValue::masked(field, cube.value, cube.mask);
        let named =
            |name: &str| self.names.port_key(name).map(|key| FieldValue::exact(field, u128::from(key)));
        match &term.choice {
            Choice::Cube(cube) => vec![number(cube)],
            Choice::Cubes(cubes) => cubes.as_slice().iter().map(number).collect(),
            Choice::Name(name) => named(name).into_iter().collect(),
            Choice::Names(names) => {
                let mut values: Vec<FieldValue> = names.iter().filter_map(|name| named(name)).collect();
                values.sort_unstable_by_key(|value| value.value);
                values.dedup();
                values
            }
        }
    }
}
