//! `kiln sandbox` on its own, for work on this crate.

fn main() -> std::process::ExitCode {
    kiln_sandbox::cli::main(std::env::args_os())
}
