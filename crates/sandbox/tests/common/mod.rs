//! What the tests of standing sandboxes share. They need root and the stock peers.

use kiln_sandbox::{Component, Progress, Sandbox, Settings, Table, up};
use kiln_topology::Network;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A place that no other test, of this process or another, has.
pub fn settings(component: Component) -> Settings {
    let mut settings = Settings::stock(component);
    settings.name = format!("t{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    settings
}

pub fn example(name: &str) -> Network {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../examples", name].iter().collect();
    let text = std::fs::read_to_string(&path).expect("the example is there");
    kiln_topology::parse(name, &text).unwrap_or_else(|problems| panic!("{problems}"))
}

pub fn build(network: &Network, settings: Settings) -> Sandbox {
    up(network, settings, &Progress::quiet()).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs the file's probes; all must hold.
#[track_caller]
pub fn probe(sandbox: &Sandbox) {
    let rows = sandbox.probe().unwrap_or_else(|error| panic!("{error}"));
    assert!(!rows.is_empty());
    let table = Table(&rows);
    assert!(table.holds(), "\n{table}");
}
