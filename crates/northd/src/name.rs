//! Names of ports, as they stand between quotes in matches and actions.

use kiln_ovsdb::Text;
use std::fmt;

/// A port's name. It is displayed with what the logical flow language would read otherwise escaped (RFC 8259, section
/// 7), so that no name can end the string that it stands in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortName(Text);

impl PortName {
    /// The name itself.
    pub fn text(&self) -> &Text {
        &self.0
    }
}

impl From<&Text> for PortName {
    fn from(name: &Text) -> Self {
        PortName(name.clone())
    }
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.bytes().any(is_special) {
            return f.write_str(&self.0);
        }
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_logical::{Expr, NoNames, expr};

    #[test]
    fn a_name_is_one_string_whatever_it_holds() {
        for name in ["plain", "a\"b", "a\\b", "a\\\"b", "line\nbreak", "\" || 1 || inport == \"", "ü"] {
            let text = format!("inport == \"{}\"", PortName::from(&Text::from(name)));
            let parsed = expr::parse(&text, &NoNames);
            let Ok(Expr::Name { names, .. }) = &parsed else { panic!("{text}: {parsed:?}") };
            assert_eq!(names.iter().collect::<Vec<_>>(), [name]);
        }
    }
}
