//! Which commands there are, and what arguments they take.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A command that can be sent to a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name, such as `vlog/set`.
    pub name: &'static str,
    /// Its arguments as `list-commands` shows them.
    pub usage: &'static str,
    /// How few arguments it takes.
    pub min_args: usize,
    /// How many it takes; `usize::MAX` for any number.
    pub max_args: usize,
}

impl Command {
    /// A command.
    pub const fn new(name: &'static str, usage: &'static str, min_args: usize, max_args: usize) -> Self {
        Command { name, usage, min_args, max_args }
    }
}

/// All commands of one daemon.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    commands: BTreeMap<&'static str, Command>,
}

/// Commands that are there but not listed.
const HIDDEN: &[&str] = &["vlog/message"];

impl Registry {
    /// Adds a command, in place of one of the same name.
    pub fn add(&mut self, command: Command) {
        self.commands.insert(command.name, command);
    }

    /// Checks a request, all of whose arguments are strings, or says in stock's words what is wrong with it.
    pub fn check(&self, name: &str, args: usize) -> Result<Command, String> {
        let Some(command) = self.commands.get(name) else {
            return Err(format!(
                "\"{name}\" is not a valid command (use \"list-commands\" to see a list of valid commands)"
            ));
        };
        if args < command.min_args {
            return Err(format!("\"{name}\" command requires at least {} arguments", command.min_args));
        }
        if args > command.max_args {
            return Err(format!("\"{name}\" command takes at most {} arguments", command.max_args));
        }
        Ok(*command)
    }

    fn listed(&self) -> impl Iterator<Item = &Command> {
        self.commands.values().filter(|command| !HIDDEN.contains(&command.name))
    }

    /// The text of `list-commands`.
    pub fn list(&self) -> String {
        let mut out = String::from("The available commands are:\n");
        for command in self.listed() {
            let _ = writeln!(out, "  {:<23} {}", command.name, command.usage);
        }
        out
    }

    /// The same as a JSON object: usage by name.
    pub(crate) fn list_json(&self) -> String {
        let mut object = serde_json::Map::new();
        for command in self.listed() {
            object.insert(command.name.to_owned(), command.usage.into());
        }
        serde_json::Value::Object(object).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_checked_in_stocks_words() {
        let mut registry = Registry::default();
        registry.add(Command::new("vlog/message", "MESSAGE", 1, 1));
        registry.add(Command::new("pause", "", 0, 0));
        registry.add(Command::new("parallel-build/set-n-threads", "N_THREADS", 1, 1));
        assert!(registry.check("pause", 0).is_ok());
        assert_eq!(
            registry.check("nonesuch", 0),
            Err(
                "\"nonesuch\" is not a valid command (use \"list-commands\" to see a list of valid commands)"
                    .into()
            )
        );
        assert_eq!(registry.check("pause", 1), Err("\"pause\" command takes at most 0 arguments".into()));
        assert_eq!(
            registry.check("vlog/message", 0),
            Err("\"vlog/message\" command requires at least 1 arguments".into())
        );
        assert_eq!(
            registry.list(),
            "The available commands are:\n  parallel-build/set-n-threads N_THREADS\n  pause                   \n"
        );
        assert_eq!(registry.list_json(), r#"{"parallel-build/set-n-threads":"N_THREADS","pause":""}"#);
    }
}
