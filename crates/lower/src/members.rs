//! The flows that one member of an address set makes, so that a member which comes or goes touches those alone.
//!
//! Where a match compares a field with a set once, for equality, and compares that field with nothing else, what a member makes
//! depends on the member and not on the set: one flow, or one part of a conjunction, for each of the expression's
//! alternatives. Elsewhere (negation, the field compared twice, the set named twice) the flow is lowered as a whole.

use crate::env::Names;
use crate::matches::{LowerError, Part, lower_expr};
use kiln_logical::constant::{Constant, Format};
use kiln_logical::cubes::Cube;
use kiln_logical::env::OptionDef;
use kiln_logical::expr::{Expr, Relop, Transport};
use kiln_logical::{AddressSet, Environment, Field as Logical, expr, most_choices};
use kiln_openflow::{Field, FieldValue, Match};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A match whose sets are taken apart as far as that goes.
#[derive(Clone, Debug, Default)]
pub struct Apart {
    /// What it comes to besides the members of [`Apart::sets`].
    pub rest: Vec<(Match, Part)>,
    /// What members make, for each set that is taken apart.
    pub sets: Vec<PerMember>,
    /// How many conjunction numbers are used, from the base on.
    pub conjunctions: u32,
}

/// What each member of a set makes of a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerMember {
    /// The set's name.
    pub set: Box<str>,
    /// The field that is compared with it.
    field: Field,
    /// Matches without that field, and what each is for.
    flows: Vec<(Match, Part)>,
}

impl PerMember {
    /// The flows that a member makes which no other member holds.
    pub fn flows(&self, member: Cube) -> impl Iterator<Item = (Match, Part)> {
        let value = FieldValue::masked(self.field, member.value, member.mask);
        self.flows.iter().map(move |(matched, part)| {
            let mut matched = matched.to_builder();
            matched.set(value);
            (matched.build(), *part)
        })
    }
}

/// Lowers the text of a match, whose templates are replaced, and that `needed` holds besides, always of the packet itself; sets that `notation` has an answer
/// for are taken apart where that goes. The answer is the notation that all members of a set have, if the set has two or more
/// of which none holds another: with one, there would be no choice. The other arguments are those of
/// [`crate::lower_match`].
pub fn lower_apart(
    text: &str,
    transport: Transport,
    needed: &Expr<'static>,
    names: &dyn Names,
    notation: &dyn Fn(&str) -> Option<Format>,
    context: &[FieldValue],
    base: u32,
) -> Result<Apart, LowerError> {
    let mut whole = BTreeSet::new();
    loop {
        let probe = Probe { names, notation, whole: &whole, met: RefCell::default() };
        let parsed = expr::parse(text, &probe)?;
        let expr = Expr::all([parsed.annotate_of(transport), needed.clone().annotate()]);
        let met = probe.met.borrow().clone();
        let fields = met.iter().map(|(name, met)| (name, met, met.field(&expr)));
        let (apart, joined): (Vec<_>, Vec<_>) = fields.partition(|(.., field)| field.is_some());
        if !joined.is_empty() {
            whole.extend(joined.into_iter().map(|(name, ..)| name.clone()));
            continue;
        }
        let lowered = lower_expr(expr, &probe, context, base).map_err(|error| error.in_text(text))?;
        let mut taken = Taken { rest: lowered.flows, sets: Vec::new() };
        let fields: Vec<Field> =
            apart.iter().filter_map(|(.., field)| field.map(crate::fields::of)).collect();
        let mut sets = apart.into_iter().zip(&fields);
        let failed = sets.find(|((name, met, _), field)| !taken.take(name, met.values(), **field, &fields));
        match failed {
            Some(((name, ..), _)) => drop(whole.insert(name.clone())),
            None => {
                let Taken { rest, sets } = taken;
                return Ok(Apart { rest, sets, conjunctions: lowered.conjunctions });
            }
        }
    }
}

/// Whether [`lower_apart`] may come to a conjunction, which takes two choices: cheaper than to see what it comes to, and whatever
/// actions need besides, which is never a choice.
pub fn may_conjoin(
    text: &str,
    names: &dyn Names,
    notation: &dyn Fn(&str) -> Option<Format>,
) -> Result<bool, LowerError> {
    let probe = Probe { names, notation, whole: &BTreeSet::new(), met: RefCell::default() };
    Ok(most_choices(&expr::parse(text, &probe)?.annotate()) > 1)
}

/// Flows while those of members are taken out of them.
struct Taken {
    rest: Vec<(Match, Part)>,
    sets: Vec<PerMember>,
}

impl Taken {
    /// Takes out what the two members of a set have made. False if they did not make the same, or made it together with
    /// another set's: `fields` are those that are compared with any.
    fn take(&mut self, name: &str, values: [u128; 2], field: Field, fields: &[Field]) -> bool {
        let made_by = |(matched, _): &(Match, Part)| {
            let said = matched.get(field)?.value;
            values.iter().position(|value| *value == said)
        };
        let mut made = [Vec::new(), Vec::new()];
        for flow in &self.rest {
            if let Some(at) = made_by(flow) {
                made[at].push((without(&flow.0, field), flow.1));
            }
        }
        let [flows, others] = made;
        let with_others =
            |(matched, _): &(Match, Part)| fields.iter().any(|field| matched.get(*field).is_some());
        if flows.is_empty() || flows != others || flows.iter().any(with_others) {
            return false;
        }
        self.rest.retain(|flow| made_by(flow).is_none());
        self.sets.push(PerMember { set: name.into(), field, flows });
        true
    }
}

fn without(matched: &Match, field: Field) -> Match {
    let mut builder = Match::builder();
    for value in matched.iter().filter(|value| !value.field.same(field)) {
        builder.set(value);
    }
    builder.build()
}

/// A set that stands in for one of the network's.
#[derive(Clone)]
struct Met {
    set: Arc<AddressSet>,
    notation: Format,
    /// How often it was asked for.
    asked: u32,
}

impl Met {
    /// Two addresses, which no other set has that is met.
    fn new(number: usize, notation: Format) -> Met {
        let member = |value: usize| Constant { value: value as u128, mask: None, format: notation };
        let set = AddressSet::new(vec![member(2 * number + 1), member(2 * number + 2)]);
        Met { set: Arc::new(set), notation, asked: 0 }
    }

    fn values(&self) -> [u128; 2] {
        let mut values = self.set.iter().map(|member| member.value);
        [(); 2].map(|()| values.next().unwrap_or_default())
    }

    /// The field that is compared with the set, if it is taken apart there.
    fn field(&self, expr: &Expr<'_>) -> Option<Logical> {
        let field = only_comparison(expr, &self.values()).filter(|_| self.asked == 1)?;
        let of = crate::fields::of(field);
        let is_address = self.notation.width() == Some(field.width());
        (is_address && !field.multiplies_out() && of.info().maskable && of.as_xxreg().is_none())
            .then_some(field)
    }
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
                let value = |cube: &Cube| cube.value << first;
                out.push((field, comparison.op, comparison.values.as_slice().iter().map(value).collect()));
            }
        }
        Expr::And(terms) | Expr::Or(terms) => terms.iter().for_each(|term| gather(term, out)),
        Expr::Const(_) | Expr::Name { .. } | Expr::Resident { .. } => {}
    }
}

/// The network, with two members in place of each set that may be taken apart.
struct Probe<'n> {
    names: &'n dyn Names,
    notation: &'n dyn Fn(&str) -> Option<Format>,
    /// Sets that stay whole.
    whole: &'n BTreeSet<Box<str>>,
    met: RefCell<BTreeMap<Box<str>, Met>>,
}

impl Environment for Probe<'_> {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        let notation = if self.whole.contains(name) { None } else { (self.notation)(name) };
        let Some(notation) = notation else { return self.names.address_set(name) };
        let mut met = self.met.borrow_mut();
        let number = met.len();
        let found = met.entry(name.into()).or_insert_with(|| Met::new(number, notation));
        found.asked += 1;
        Some(found.set.clone())
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
