//! `kiln schema nb|sb`: the schema files that `ovsdb-tool create` takes.

use kiln_runtime::terminal;
use kiln_schema_ovn::{nb::Northbound, sb::Southbound};
use std::ffi::OsString;
use std::process::ExitCode;

const USAGE: &str = "\
Prints a database schema, as `ovsdb-tool create` takes it
usage: kiln schema nb|sb

  nb    OVN_Northbound
  sb    OVN_Southbound
";

pub(crate) fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let which = args.next().unwrap_or_default();
    let (text, code) = match which.to_str() {
        Some("nb") => (format!("{:#}\n", Northbound::DECL.to_json()), 0),
        Some("sb") => (format!("{:#}\n", Southbound::DECL.to_json()), 0),
        Some("help" | "--help" | "-h") => (USAGE.to_owned(), 0),
        _ => ("kiln schema: expected `nb` or `sb`\n".to_owned(), 1),
    };
    terminal::answer(&text, code, 1).into()
}
