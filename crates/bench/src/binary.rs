//! The kiln binary that is measured, and where stock's programs are.

use crate::Result;
use kiln_sandbox::Peers;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where programs are found. Kiln's is `kiln`, or what the variable KILN names, or else built in release mode.
pub(crate) fn peers(kiln: Option<PathBuf>) -> Result<Peers> {
    let mut peers = Peers::from_env();
    peers.kiln = match kiln.or(peers.kiln) {
        Some(path) => Some(path),
        None => Some(build()?),
    };
    Ok(peers)
}

/// Builds the workspace's binary and says where it is.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let built = Command::new(cargo)
        .args(["build", "--release", "--package", "kiln", "--manifest-path", manifest])
        .status()?;
    if !built.success() {
        return Err("kiln could not be built".into());
    }
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).ok_or("this program is in no target folder")?;
    Ok(target.join("release/kiln"))
}
