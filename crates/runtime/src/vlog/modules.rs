//! The modules that messages come from, and what each lets through to each destination.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::level::{Destination, Level};

/// Index of a module in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModuleId(usize);

#[derive(Clone, Debug)]
struct Module {
    name: String,
    levels: [Level; 3],
    rate_limits: bool,
}

/// Every module that is known, with its levels.
#[derive(Clone, Debug)]
pub(crate) struct Modules {
    table: Vec<Module>,
    by_name: BTreeMap<String, ModuleId>,
    /// What a module gets that becomes known later.
    default_levels: [Level; 3],
    default_rate_limits: bool,
}

impl Modules {
    pub(crate) fn new(names: &[&str]) -> Self {
        let mut modules = Modules {
            table: Vec::new(),
            by_name: BTreeMap::new(),
            default_levels: [Level::Info; 3],
            default_rate_limits: true,
        };
        for name in names {
            modules.add(name);
        }
        modules
    }

    /// The module `name`, made known if it was not.
    pub(crate) fn add(&mut self, name: &str) -> ModuleId {
        // Names are looked up in any case, so they are kept in one.
        let key = name.to_ascii_lowercase();
        if let Some(id) = self.by_name.get(&key) {
            return *id;
        }
        let id = ModuleId(self.table.len());
        self.table.push(Module {
            name: name.to_owned(),
            levels: self.default_levels,
            rate_limits: self.default_rate_limits,
        });
        self.by_name.insert(key, id);
        id
    }

    pub(crate) fn find(&self, name: &str) -> Option<ModuleId> {
        self.by_name.get(&name.to_ascii_lowercase()).copied()
    }

    pub(crate) fn name(&self, id: ModuleId) -> &str {
        self.table.get(id.0).map_or("", |module| &module.name)
    }

    /// Sets the level of one module or all, at one destination or all.
    pub(crate) fn set_level(
        &mut self,
        module: Option<ModuleId>,
        destination: Option<Destination>,
        level: Level,
    ) {
        let set = |levels: &mut [Level; 3]| match destination {
            Some(destination) => levels[destination as usize] = level,
            None => *levels = [level; 3],
        };
        match module {
            Some(id) => self.table.get_mut(id.0).map(|module| &mut module.levels).into_iter().for_each(set),
            None => {
                set(&mut self.default_levels);
                self.table.iter_mut().map(|module| &mut module.levels).for_each(set);
            }
        }
    }

    /// Whether messages of one module, or of all, are held to their rate limits.
    pub(crate) fn set_rate_limits(&mut self, module: Option<ModuleId>, honoured: bool) {
        match module {
            Some(id) => {
                if let Some(module) = self.table.get_mut(id.0) {
                    module.rate_limits = honoured;
                }
            }
            None => {
                self.default_rate_limits = honoured;
                self.table.iter_mut().for_each(|module| module.rate_limits = honoured);
            }
        }
    }

    pub(crate) fn rate_limits(&self, id: ModuleId) -> bool {
        self.table.get(id.0).is_none_or(|module| module.rate_limits)
    }

    /// Whether `destination` takes messages of `level` from this module.
    pub(crate) fn passes(&self, id: ModuleId, destination: Destination, level: Level) -> bool {
        self.table.get(id.0).is_some_and(|module| level <= module.levels[destination as usize])
    }

    /// Whether any destination takes them.
    pub(crate) fn passes_any(&self, id: ModuleId, level: Level) -> bool {
        Destination::ALL.into_iter().any(|destination| self.passes(id, destination, level))
    }

    /// The most talkative level that anything lets through, modules not known yet included.
    pub(crate) fn most_verbose(&self) -> Level {
        let levels = self.table.iter().map(|module| module.levels).chain([self.default_levels]);
        levels.flatten().max().unwrap_or(Level::Off)
    }

    /// The text of `vlog/list`.
    pub(crate) fn list(&self) -> String {
        let mut out = String::from(
            "                 console    syslog    file\n                 -------    ------    ------\n",
        );
        for module in self.by_name.values().filter_map(|id| self.table.get(id.0)) {
            let [console, syslog, file] = module.levels;
            let _ = writeln!(out, "{:<16}  {console:>4}       {syslog:>4}       {file:>4}", module.name);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_set_by_module_and_destination() {
        let mut modules = Modules::new(&["northd", "daemon"]);
        let northd = modules.find("NORTHD").expect("known");
        modules.set_level(Some(northd), Some(Destination::File), Level::Dbg);
        modules.set_level(None, Some(Destination::Console), Level::Off);
        assert!(modules.passes(northd, Destination::File, Level::Dbg));
        assert!(!modules.passes(northd, Destination::Syslog, Level::Dbg));
        assert!(!modules.passes(northd, Destination::Console, Level::Emer));
        // A module that shows up later gets what was said of all.
        let late = modules.add("late");
        assert!(!modules.passes(late, Destination::Console, Level::Err));
        assert!(modules.passes(late, Destination::File, Level::Info));
        assert_eq!(modules.most_verbose(), Level::Dbg);
        assert_eq!(
            modules.list(),
            "                 console    syslog    file\n                 -------    ------    ------\n\
             daemon             OFF       INFO       INFO\n\
             late               OFF       INFO       INFO\n\
             northd             OFF       INFO        DBG\n"
        );
    }

    #[test]
    fn rate_limits_can_be_lifted() {
        let mut modules = Modules::new(&["a", "b"]);
        let (a, b) = (modules.add("a"), modules.add("b"));
        modules.set_rate_limits(Some(a), false);
        assert!(!modules.rate_limits(a) && modules.rate_limits(b));
        modules.set_rate_limits(None, false);
        let c = modules.add("c");
        assert!(!modules.rate_limits(b) && !modules.rate_limits(c));
    }
}
