//! `kiln`: every daemon and tool in one program.
//!
//! The first word says which; started through a link named `ovn-northd` or `ovn-controller`, it is that daemon. Here are
//! command lines and wiring, nothing else.
#![forbid(unsafe_code)]
// The shell may look at its arguments and write to its terminal.
#![allow(clippy::disallowed_methods)]
// These panic when nobody takes what is printed; `kiln_runtime::terminal` does not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod apply;
mod controller;
mod lflow;
mod northd;
mod schema;
mod stats;
mod stock_names;

use kiln_runtime::terminal;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
kiln: Open Virtual Network
usage: kiln COMMAND [OPTION]...

  northd       compile OVN_Northbound into OVN_Southbound (also as `ovn-northd`)
  sandbox      run a network file in namespaces on real switches, and probe it
  controller   compile OVN_Southbound into OpenFlow on a chassis (also as `ovn-controller`)
  apply        make the northbound database say what a network file says
  diff         show what `apply` would change
  lflow        the logical flow language: lex, parse, lower, check
  schema       print a database schema: nb, sb
  version      print the version

`kiln COMMAND --help` tells more.
";

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    let invoked_as = Path::new(&program).file_name().and_then(|name| name.to_str()).unwrap_or("kiln");
    if invoked_as == "ovn-northd" {
        return northd::main(args);
    }
    if invoked_as == "ovn-controller" {
        return controller::main(args);
    }
    let command = args.next().unwrap_or_else(|| OsString::from("--help"));
    match command.to_str() {
        Some("northd" | "ovn-northd") => northd::main(args),
        Some("controller" | "ovn-controller") => controller::main(args),
        Some("apply") => apply::main(apply::Mode::Apply, args),
        Some("diff") => apply::main(apply::Mode::Diff, args),
        Some("sandbox") => kiln_sandbox::cli::main(std::iter::once("sandbox".into()).chain(args)),
        Some("lflow") => lflow::main(args),
        Some("schema") => schema::main(args),
        Some("version" | "--version" | "-V") => {
            terminal::answer(&format!("kiln {}\n", env!("CARGO_PKG_VERSION")), 0, 1).into()
        }
        Some("help" | "--help" | "-h") => terminal::answer(USAGE, 0, 1).into(),
        _ => {
            let text = format!("kiln: `{}` is no command of kiln's\n{USAGE}", command.display());
            terminal::answer(&text, 1, 1).into()
        }
    }
}
