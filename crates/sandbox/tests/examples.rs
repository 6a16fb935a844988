//! Every example on stock daemons: they say whether the files, their probes and the sandbox itself are right.

// These tests are about files and processes.
#![allow(clippy::disallowed_methods)]

mod common;

use common::{build, example, probe, settings};
use kiln_sandbox::Component;

fn check(name: &str, component: Component) {
    probe(&build(&example(name), settings(component)));
}

#[test]
fn two_chassis_on_stock() {
    check("two-chassis.yaml", Component::Stock);
}

#[test]
fn one_router_on_stock() {
    check("one-router.yaml", Component::Stock);
}

#[test]
fn one_router_on_old_stock() {
    check("one-router.yaml", Component::OldStock);
}

#[test]
fn spine_leaf_on_stock() {
    check("spine-leaf.yaml", Component::Stock);
}

#[test]
fn dual_stack_ecmp_on_stock() {
    check("dual-stack-ecmp.yaml", Component::Stock);
}
