//! The flows that one member of an address set makes, so that a member which comes or goes touches those alone.
//!
//! Where a match compares a field with a set once, for equality, and compares that field with nothing else, what a member makes
//! depends on the member and not on the set: one flow, or one part of a conjunction, for each of the expression's
//! alternatives. Elsewhere (negation, the field compared twice, the set named twice) the flow is lowered as a whole.

use crate::env::Names;
use crate::matches::{LowerError, Part, lower_expr};
use kiln_logical::constant::Constant;
use kiln_logical::env::OptionDef;
use kiln_logical::expr::{Expr, Relop};
use kiln_logical::{AddressSet, Environment, Field as Logical, expr};
use kiln_openflow::{Field, FieldValue, Match};
use std::borrow::Cow;
use std::sync::Arc;

/// What each member of a set makes of a match.
#[derive(Clone, Debug)]
pub struct PerMember {
    /// The field that is compared with the set.
    field: Logical,
    /// Matches without that field, and what each is for.
    flows: Vec<(Match, Part)>,
}

/// The fewest members for which a match has the form that it has with more of them: with one, there is no choice.
pub const MIN_MEMBERS: usize = 2;

impl PerMember {
    /// Looks whether members of the set `name` can be taken one by one in `text`, whose templates are replaced. `None` if not,
    /// or if the set has fewer than [`MIN_MEMBERS`]: then the match is lowered as a whole. The other arguments are
    /// those of [`crate::lower_match`].
    pub fn of(
        text: &str,
        name: &str,
        names: &dyn Names,
        context: &[FieldValue],
        base: u32,
    ) -> Result<Option<PerMember>, LowerError> {
        let Some(two) = names.address_set(name).and_then(|set| set.two_apart()) else { return Ok(None) };
        let probe = Probe { names, name, set: Arc::new(AddressSet::new(two.to_vec())), asked: 0.into() };
        let parsed = expr::parse(text, &probe)?;
        if probe.asked.get() != 1 {
            return Ok(None);
        }
        let expr = parsed.annotate();
        let values = two.map(|member| member.value);
        let Some(field) = only_comparison(&expr, &values) else { return Ok(None) };
        let of = crate::fields::of(field);
        if field.multiplies_out() || !of.info().maskable || of == Field::VLAN_TCI {
            return Ok(None);
        }
        let lowered = lower_expr(expr, &probe, context, base)?;
        let made_by = |value: u128| {
            let made = lowered
                .flows
                .iter()
                .filter(move |(matched, _)| matched.get(of).is_some_and(|said| said.value == value));
            made.map(|(matched, part)| (without(matched, of), *part)).collect::<Vec<_>>()
        };
        let (flows, others) = (made_by(values[0]), made_by(values[1]));
        Ok((!flows.is_empty() && flows == others).then_some(PerMember { field, flows }))
    }

    /// The flows that `member` makes. `None` if it has no place in the field, or overlaps a member of `others`, the set
    /// without it: then the match is lowered as a whole.
    pub fn flows(&self, member: &Constant, others: &AddressSet) -> Option<Vec<(Match, Part)>> {
        if member.width() > self.field.width() || others.len() < MIN_MEMBERS || others.overlaps(member) {
            return None;
        }
        let of = crate::fields::of(self.field);
        let mask = member.mask.unwrap_or(self.field.mask());
        let value = FieldValue::masked(of, member.value, mask);
        let made = self.flows.iter().map(|(matched, part)| {
            let mut matched = matched.to_builder();
            matched.set(value);
            (matched.build(), *part)
        });
        Some(made.collect())
    }
}

fn without(matched: &Match, field: Field) -> Match {
    let mut builder = Match::builder();
    for value in matched.iter().filter(|value| !value.field.same(field)) {
        builder.set(value);
    }
    builder.build()
}

/// The field that one comparison, and no other, is of: an equality with these values.
fn only_comparison(expr: &Expr<'_>, values: &[u128; 2]) -> Option<Logical> {
    let mut comparisons = Vec::new();
    gather(expr, &mut comparisons);
    let is_set = |(_, op, found): &&(Logical, Relop, Vec<u128>)| {
        *op == Relop::Eq && found.len() == 2 && values.iter().all(|value| found.contains(value))
    };
    let (field, ..) = comparisons.iter().find(is_set)?;
    (comparisons.iter().filter(|(other, ..)| other == field).count() == 1).then_some(*field)
}

fn gather(expr: &Expr<'_>, out: &mut Vec<(Logical, Relop, Vec<u128>)>) {
    match expr {
        Expr::Number(comparison) => {
            // A part of a field has other bits than the members.
            if let Some((field, first)) = comparison.symbol.get().root() {
                let value = |cube: &kiln_logical::cubes::Cube| cube.value << first;
                out.push((field, comparison.op, comparison.values.as_slice().iter().map(value).collect()));
            }
        }
        Expr::And(terms) | Expr::Or(terms) => terms.iter().for_each(|term| gather(term, out)),
        Expr::Const(_) | Expr::Name { .. } | Expr::Resident { .. } => {}
    }
}

/// The network, with two members in place of a set.
struct Probe<'n> {
    names: &'n dyn Names,
    name: &'n str,
    set: Arc<AddressSet>,
    /// How often the set was asked for.
    asked: std::cell::Cell<u32>,
}

impl Environment for Probe<'_> {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        if name == self.name {
            self.asked.set(self.asked.get() + 1);
            return Some(self.set.clone());
        }
        self.names.address_set(name)
    }

    fn port_group(&self, name: &str) -> Option<Arc<[Arc<str>]>> {
        self.names.port_group(name)
    }

    fn template(&self, name: &str) -> Option<Cow<'_, str>> {
        self.names.template(name)
    }

    fn dhcp_option(&self, name: &str) -> Option<OptionDef> {
        self.names.dhcp_option(name)
    }

    fn dhcpv6_option(&self, name: &str) -> Option<OptionDef> {
        self.names.dhcpv6_option(name)
    }
}

impl Names for Probe<'_> {
    fn port_key(&self, name: &str) -> Option<u32> {
        self.names.port_key(name)
    }

    fn matched_port_key(&self, field: Logical, name: &str) -> Option<u32> {
        self.names.matched_port_key(field, name)
    }

    fn is_resident(&self, name: &str) -> bool {
        self.names.is_resident(name)
    }
}
