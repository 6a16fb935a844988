//! `kiln schema nb|sb`: the schema files that `ovsdb-tool create` takes.

use kiln_schema_ovn::{nb::Northbound, sb::Southbound};
use std::ffi::OsString;
use std::process::ExitCode;

pub(crate) fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let which = args.next().unwrap_or_default();
    let schema = match which.to_str() {
        Some("nb") => Northbound::DECL.to_json(),
        Some("sb") => Southbound::DECL.to_json(),
        _ => {
            eprintln!("kiln schema: expected `nb` or `sb`");
            return ExitCode::FAILURE;
        }
    };
    println!("{schema:#}");
    ExitCode::SUCCESS
}
