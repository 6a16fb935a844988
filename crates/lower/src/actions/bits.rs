//! The bits that an action reads or writes.

use crate::fields;
use kiln_logical::{Field, FieldRef};
use kiln_openflow::Subfield;

/// The bits of the switch's field that an action names. Symbols without bits never get past the parser; they would be
/// the first register here.
pub(super) fn bits(of: FieldRef) -> Subfield {
    let (root, first) = of.root().unwrap_or((Field::Xxreg0, of.first));
    let field = fields::of(root);
    if of.is_string() {
        return Subfield::whole(field);
    }
    Subfield::new(field, u16::from(first), u16::from(of.len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_fits_into_its_place() {
        for &logical in Field::ALL {
            let width = if logical.is_string() { 32 } else { u16::from(logical.width()) };
            assert!(width <= fields::of(logical).n_bits(), "{logical}");
        }
    }
}
