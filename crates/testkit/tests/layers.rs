//! Holds the workspace's dependencies against `layers.toml`: a crate imports only lower layers, or the crates of its own
//! layer that it may, and bans hold through any number of steps.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    layer: Vec<Layer>,
    test: TestCrates,
    ban: Vec<Ban>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    number: u32,
    crates: Vec<String>,
    #[serde(default)]
    same: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestCrates {
    crates: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[serde(rename = "crate")]
    name: Option<String>,
    #[serde(default)]
    layers: Vec<u32>,
    never: Vec<String>,
}

/// A workspace crate's name without the prefix.
fn short(package: &str) -> &str {
    package.strip_prefix("kiln-").unwrap_or(package)
}

/// Normal and build dependencies of every package, workspace crates by their short names.
fn edges(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let ours: BTreeSet<_> = metadata.workspace_packages().iter().map(|p| p.name.to_string()).collect();
    let name =
        |package: &str| if ours.contains(package) { short(package).to_owned() } else { package.to_owned() };
    metadata
        .packages
        .iter()
        .map(|package| {
            let wanted =
                package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development && !d.optional);
            (name(&package.name), wanted.map(|d| name(&d.name)).collect())
        })
        .collect()
}

fn reaches(edges: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(package) = open.pop() {
        for next in edges.get(&package).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

#[test]
fn crates_import_only_lower_layers() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).exec().expect("cargo metadata answers");
    let rules: Rules =
        toml::from_str(include_str!("../../../layers.toml")).expect("layers.toml is well formed");
    let edges = edges(&metadata);
    let layer_of: BTreeMap<&str, u32> = rules
        .layer
        .iter()
        .flat_map(|layer| layer.crates.iter().map(|name| (name.as_str(), layer.number)))
        .collect();
    let mut wrong = Vec::new();

    for package in metadata.workspace_packages() {
        let name = short(&package.name);
        if rules.test.crates.iter().any(|test| test == name) {
            continue;
        }
        let Some(layer) = layer_of.get(name) else {
            wrong.push(format!("{name} stands in no layer"));
            continue;
        };
        let same = rules.layer.iter().find_map(|layer| layer.same.get(name));
        for import in &edges[name] {
            if rules.test.crates.contains(import) {
                wrong.push(format!("{name} imports {import}, which is for tests"));
            }
            let Some(other) = layer_of.get(import.as_str()) else { continue };
            let allowed = other < layer || (other == layer && same.is_some_and(|same| same.contains(import)));
            if !allowed {
                wrong.push(format!("{name} (layer {layer}) imports {import} (layer {other})"));
            }
        }
    }
    for ban in &rules.ban {
        let in_layers =
            layer_of.iter().filter(|(_, layer)| ban.layers.contains(layer)).map(|(name, _)| *name);
        for name in ban.name.as_deref().into_iter().chain(in_layers).filter(|name| edges.contains_key(*name))
        {
            let reached = reaches(&edges, name);
            wrong.extend(
                ban.never
                    .iter()
                    .filter(|never| reached.contains(*never))
                    .map(|never| format!("{name} reaches {never}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(layer_of.len() > 10, "layers.toml was read");
}
