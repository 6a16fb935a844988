//! The text of a network file as a tree whose every node knows its line: one tree for YAML and for TOML.

mod cursor;
mod node;
mod problem;
mod toml;
mod yaml;

pub(crate) use cursor::{Cursor, Fields, Log};
pub(crate) use node::{Entry, Node, Value};
pub use node::{Origin, Place};
pub use problem::{Problem, Problems};

/// Which of the two notations a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, core schema, one document, without aliases.
    Yaml,
    /// TOML 1.0.
    Toml,
}

impl Format {
    /// The notation that a file's name tells: `.toml` is TOML, everything else YAML.
    pub fn of(file_name: &str) -> Format {
        let toml = file_name.len() > 5 && file_name[file_name.len() - 5..].eq_ignore_ascii_case(".toml");
        if toml { Format::Toml } else { Format::Yaml }
    }

    pub(crate) fn parse(self, text: &str) -> Result<Node, Problem> {
        match self {
            Format::Yaml => yaml::parse(text),
            Format::Toml => toml::parse(text),
        }
    }
}
