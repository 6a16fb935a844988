//! Which parts a sandbox is made of, and where it stands.

use crate::peers::{Component, Peers};
use crate::state::State;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A sandbox's parts and place.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The sandbox's name: what its namespaces start with, and its folder's name. Sandboxes with different names stand
    /// side by side.
    pub name: String,
    /// The folder that the sandbox's own folder is made in.
    pub parent: PathBuf,
    /// Where programs are found.
    pub peers: Peers,
    /// Whose northd runs.
    pub northd: Component,
    /// Whose controller runs on each chassis.
    pub controller: PerChassis,
    /// Whose `ovs-vswitchd` and its database server run on each chassis.
    pub switch: PerChassis,
    /// Whose database server runs for the northbound and the southbound database.
    pub database: Component,
    /// Whose schemas these databases have.
    pub schema: Component,
    /// How long the parts may take to find each other.
    pub patience: Duration,
}

/// A choice for every chassis, with exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerChassis {
    /// Where nothing else is said.
    pub default: Component,
    /// By chassis.
    pub exceptions: BTreeMap<String, Component>,
}

impl PerChassis {
    /// The same everywhere.
    pub fn all(default: Component) -> PerChassis {
        PerChassis { default, exceptions: BTreeMap::new() }
    }

    /// What is chosen for a chassis.
    pub fn of(&self, chassis: &str) -> Component {
        self.exceptions.get(chassis).copied().unwrap_or(self.default)
    }
}

impl Default for Settings {
    /// Kiln's daemons and schemas on this machine's own Open vSwitch, in the folder of the user.
    fn default() -> Self {
        Settings {
            name: "kiln".into(),
            parent: State::default_parent(),
            peers: Peers::from_env(),
            northd: Component::Kiln,
            controller: PerChassis::all(Component::Kiln),
            switch: PerChassis::all(Component::OldStock),
            database: Component::OldStock,
            schema: Component::Kiln,
            patience: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// Everything from one stock release.
    pub fn stock(component: Component) -> Self {
        Settings {
            northd: component,
            controller: PerChassis::all(component),
            switch: PerChassis::all(component),
            database: component,
            schema: component,
            ..Settings::default()
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    /// The namespace of a chassis, a host or the underlay.
    pub(crate) fn namespace(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }
}
