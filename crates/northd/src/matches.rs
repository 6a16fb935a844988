//! Match expressions that operators write: checked before they stand in a flow, where a wrong one would be every
//! chassis's trouble.

use crate::tables::Ctx;
use kiln_logical::expr::Expr;
use kiln_logical::{AddressSet, Environment, Error, expr};
use kiln_ovsdb::Text;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The sets and groups that there are. What is in them is the chassis's business: a match stays as it is when members
/// come and go.
struct Names<'c, 'd>(&'c Ctx<'d>);

impl Environment for Names<'_, '_> {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        let known = !self.0.all(&self.0.set_sources, &Text::from(name)).is_empty();
        known.then(Arc::default)
    }

    fn port_group(&self, name: &str) -> Option<Arc<[Arc<str>]>> {
        let known = !self.0.all(&self.0.port_groups_named, &Text::from(name)).is_empty();
        known.then(|| Arc::new([]) as Arc<[Arc<str>]>)
    }
}

/// What is wrong with a match, if anything is. What a template variable stands for, which may be any part of a match, is up
/// to each chassis: only there it can be told.
pub(crate) fn check(ctx: &Ctx<'_>, text: &str) -> Result<(), Error> {
    if text.contains('^') {
        return Ok(());
    }
    expr::parse(text, &Names(ctx)).map(drop)
}

/// The ports that packets come in or leave by in a match, of those that it names itself, not by a group.
pub(crate) fn ports_in(ctx: &Ctx<'_>, text: &str) -> BTreeSet<String> {
    let mut ports = BTreeSet::new();
    if let Ok(expr) = expr::parse(text, &Names(ctx)) {
        add_ports(&expr, &mut ports);
    }
    ports
}

/// Text is compared in no other fields than those that hold ports.
fn add_ports(expr: &Expr<'_>, ports: &mut BTreeSet<String>) {
    match expr {
        Expr::Name { names, .. } => ports.extend(names.iter().map(str::to_owned)),
        Expr::And(terms) | Expr::Or(terms) => terms.iter().for_each(|term| add_ports(term, ports)),
        Expr::Const(_) | Expr::Number(_) | Expr::Resident { .. } => {}
    }
}
