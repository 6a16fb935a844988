//! The arguments of `-v` and `vlog/set`.

use super::level::{Destination, Facility, Level};

/// Something to change about what is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// Which messages pass: of one module or all, to one destination or all.
    Level {
        /// `None` for all modules.
        module: Option<String>,
        /// `None` for all destinations.
        destination: Option<Destination>,
        /// The most talkative level to let through.
        level: Level,
    },
    /// What a message looks like at a destination.
    Pattern {
        /// `None` for all destinations.
        destination: Option<Destination>,
        /// The new pattern.
        pattern: String,
    },
    /// The facility that syslog messages carry.
    Facility(Facility),
}

/// Why a specification was not understood; the texts are those that scripts know from stock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A word is none of the three kinds.
    #[error("no destination, level, or module \"{0}\"")]
    Unknown(String),
    /// Two words of the same kind: destinations, levels or modules.
    #[error("cannot specify multiple {0}")]
    Multiple(&'static str),
    /// `PATTERN` with nothing after it.
    #[error("missing destination")]
    MissingDestination,
    /// `PATTERN:x` where `x` is not a destination.
    #[error("unknown destination \"{0}\"")]
    UnknownDestination(String),
    /// `FACILITY:x` where `x` is not a facility.
    #[error("invalid facility")]
    InvalidFacility,
}

const SEPARATORS: [char; 3] = [' ', ',', ':'];

impl Spec {
    /// Reads one specification: words separated by spaces, commas or colons. `is_module` says which words are modules.
    pub fn parse(text: &str, is_module: impl Fn(&str) -> bool) -> Result<Spec, SpecError> {
        let text = text.trim_start_matches(SEPARATORS);
        let (first, rest) = text.split_once(SEPARATORS).unwrap_or((text, ""));
        if first.eq_ignore_ascii_case("PATTERN") {
            Self::parse_pattern(rest)
        } else if first.eq_ignore_ascii_case("FACILITY") {
            Facility::parse(rest.trim_matches(SEPARATORS))
                .map(Spec::Facility)
                .ok_or(SpecError::InvalidFacility)
        } else {
            Self::parse_level(text, is_module)
        }
    }

    fn parse_pattern(text: &str) -> Result<Spec, SpecError> {
        let text = text.trim_start_matches(SEPARATORS);
        let (destination, pattern) = text.split_once(SEPARATORS).unwrap_or((text, ""));
        if destination.is_empty() {
            return Err(SpecError::MissingDestination);
        }
        let destination = if destination.eq_ignore_ascii_case("any") {
            None
        } else {
            let known = Destination::parse(destination);
            Some(known.ok_or_else(|| SpecError::UnknownDestination(destination.to_owned()))?)
        };
        Ok(Spec::Pattern { destination, pattern: pattern.to_owned() })
    }

    fn parse_level(text: &str, is_module: impl Fn(&str) -> bool) -> Result<Spec, SpecError> {
        let (mut module, mut destination, mut level) = (None, None, None);
        for word in text.split(SEPARATORS).filter(|word| !word.is_empty()) {
            if word.eq_ignore_ascii_case("any") {
                // Older programs had to write it; it limits nothing.
            } else if let Some(known) = Destination::parse(word) {
                put(&mut destination, known, "destinations")?;
            } else if let Some(known) = Level::parse(word) {
                put(&mut level, known, "levels")?;
            } else if is_module(word) {
                put(&mut module, word.to_owned(), "modules")?;
            } else {
                return Err(SpecError::Unknown(word.to_owned()));
            }
        }
        Ok(Spec::Level { module, destination, level: level.unwrap_or(Level::Dbg) })
    }
}

fn put<T>(slot: &mut Option<T>, value: T, kind: &'static str) -> Result<(), SpecError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(SpecError::Multiple(kind)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy;

    use super::*;

    fn parse(text: &str) -> Result<Spec, String> {
        Spec::parse(text, |word| matches!(word, "northd" | "vlog")).map_err(|e| e.to_string())
    }

    fn level(module: Option<&str>, destination: Option<Destination>, level: Level) -> Result<Spec, String> {
        Ok(Spec::Level { module: module.map(str::to_owned), destination, level })
    }

    #[test]
    fn words_come_in_any_order_and_separation() {
        assert_eq!(parse("console:off"), level(None, Some(Destination::Console), Level::Off));
        assert_eq!(parse("DBG, File northd"), level(Some("northd"), Some(Destination::File), Level::Dbg));
        assert_eq!(parse("any:any:info"), level(None, None, Level::Info));
        assert_eq!(parse("northd,file"), level(Some("northd"), Some(Destination::File), Level::Dbg));
        assert_eq!(parse(""), level(None, None, Level::Dbg));
        assert_eq!(parse(" "), level(None, None, Level::Dbg));
    }

    #[test]
    fn patterns_keep_their_separators() {
        let pattern = |destination, text: &str| Ok(Spec::Pattern { destination, pattern: text.to_owned() });
        assert_eq!(
            parse("PATTERN:console:%D{%H:%M}, %m"),
            pattern(Some(Destination::Console), "%D{%H:%M}, %m")
        );
        assert_eq!(parse("pattern:ANY:x"), pattern(None, "x"));
        assert_eq!(parse("PATTERN:file"), pattern(Some(Destination::File), ""));
        assert_eq!(parse("FACILITY:local0"), Ok(Spec::Facility(Facility::parse("local0").expect("known"))));
    }

    /// Each text was read off stock's `ovs-appctl vlog/set`.
    #[test]
    fn errors_are_stocks() {
        for (text, error) in [
            ("foo:bar:dbg", "no destination, level, or module \"foo\""),
            ("PATTERN:foo:abc", "unknown destination \"foo\""),
            ("PATTERN::x", "unknown destination \"x\""),
            ("PATTERN", "missing destination"),
            ("FACILITY:foo", "invalid facility"),
            ("console:syslog", "cannot specify multiple destinations"),
            ("console:file", "cannot specify multiple destinations"),
            ("dbg:info", "cannot specify multiple levels"),
            ("northd vlog", "cannot specify multiple modules"),
        ] {
            assert_eq!(parse(text), Err(error.to_owned()), "{text}");
        }
    }

    proptest::proptest! {
        /// Up to one word of each kind, in any order, separation and case, is understood as what the words say.
        #[test]
        fn orders_and_separators_do_not_matter(
            words in proptest::sample::subsequence(vec!["northd", "syslog", "warn", "any"], 0..=4)
                .prop_shuffle(),
            separators in proptest::collection::vec("[ ,:]{1,3}", 5),
            upper in proptest::bool::ANY,
        ) {
            let mut text = separators[4].clone();
            for (word, separator) in words.iter().zip(&separators) {
                // This test's modules are known in small letters.
                let upper = upper && *word != "northd";
                text += &if upper { word.to_uppercase() } else { (*word).to_owned() };
                text += separator;
            }
            let module = words.contains(&"northd").then_some("northd");
            let destination = words.contains(&"syslog").then_some(Destination::Syslog);
            let expected = if words.contains(&"warn") { Level::Warn } else { Level::Dbg };
            proptest::prop_assert_eq!(parse(&text), level(module, destination, expected));
        }
    }
}
