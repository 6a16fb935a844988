//! The command-line options that daemons have in common, in stock's spelling.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, builder::Str};

use super::{Program, mistake, pidfile_path};
use crate::dirs::Dirs;
use crate::tls::TlsOptions;

/// Every option that daemons have in common; flatten it into a program's own, behind those.
#[derive(Args, Clone, Debug, Default)]
#[command(about = None, long_about = None)]
pub struct CommonOptions {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub control: ControlOptions,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub daemon: DaemonOptions,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub log: LogOptions,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub tls: TlsOptions,
}

/// How the daemon runs.
#[derive(Args, Clone, Debug, Default)]
#[command(about = None, long_about = None, next_help_heading = "Daemon options")]
pub struct DaemonOptions {
    /// Run in background as daemon
    #[arg(long)]
    pub detach: bool,
    /// Create a process to monitor this daemon
    #[arg(long)]
    pub monitor: bool,
    /// Change the daemon's user and group
    #[arg(long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Do not change directory to '/'
    #[arg(long)]
    pub no_chdir: bool,
    /// Create pidfile (default: {pidfile})
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[allow(clippy::option_option)]
    pub pidfile: Option<Option<PathBuf>>,
    /// With --pidfile, start even if already running
    #[arg(long)]
    pub overwrite_pidfile: bool,
    /// Accepted for compatibility; there is no confinement to give up
    #[arg(long, hide = true)]
    pub no_self_confinement: bool,
}

/// What the daemon logs.
#[derive(Args, Clone, Debug, Default)]
#[command(about = None, long_about = None, next_help_heading = "Logging options")]
pub struct LogOptions {
    /// Set logging levels; without SPEC, maximum verbosity
    #[arg(long, short = 'v', value_name = "SPEC", num_args = 0..=1, require_equals = true,
          default_missing_value = "any:any:dbg", action = ArgAction::Append)]
    pub verbose: Vec<String>,
    /// Enable logging to FILE (default: {log_file})
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[allow(clippy::option_option)]
    pub log_file: Option<Option<PathBuf>>,
    /// How to send messages to the syslog daemon: libc, null, unix:FILE or udp:IP:PORT
    #[arg(long, value_name = "METHOD")]
    pub syslog_method: Option<String>,
    /// Also send syslog messages to IP:PORT by UDP
    #[arg(long, value_name = "IP:PORT")]
    pub syslog_target: Option<String>,
}

/// Where the daemon takes commands.
#[derive(Args, Clone, Debug, Default)]
#[command(about = None, long_about = None)]
pub struct ControlOptions {
    /// Override default control socket name
    #[arg(long, short = 'u', value_name = "SOCKET")]
    pub unixctl: Option<PathBuf>,
    /// List available options
    #[arg(long, short = 'o')]
    pub options: bool,
}

/// How remotes are written that are connected to, for the end of a program's help.
pub const ACTIVE_METHODS: &str = "  tcp:HOST:PORT   PORT at remote HOST
  ssl:HOST:PORT   SSL/TLS PORT at remote HOST
  unix:FILE       Unix domain socket named FILE
";
/// The same of remotes that are listened at.
pub const PASSIVE_METHODS: &str = "  ptcp:PORT[:IP]  Listen to TCP PORT on IP
  pssl:PORT[:IP]  Listen for SSL/TLS on PORT on IP
  punix:FILE      Listen on Unix domain socket FILE
";

/// Reads the command line `args` (without the program's name) as the daemon `program`, or tells what to print and the code
/// to exit with: for `--help`, `--version`, `--options`, or a mistake.
///
/// As stock does, it accepts a level in one word with `-v`, unambiguous beginnings of long options, and exits with 1
/// after a mistake, which it tells in stock's words. In the help of options, `{nb}`, `{sb}` and `{vswitch}` stand for the
/// databases' default remotes, `{pidfile}` and `{log_file}` for these files' default paths.
pub fn parse<T: Parser>(
    program: &Program,
    args: impl IntoIterator<Item = OsString>,
) -> Result<T, (String, u8)> {
    read(program, args, &|command, error| {
        mistake::in_stocks_words(program.name, command, error).unwrap_or_else(|| error.render().to_string())
    })
}

/// The same for a program that is no daemon, whose mistakes are told at more length.
pub fn parse_tool<T: Parser>(
    program: &Program,
    args: impl IntoIterator<Item = OsString>,
) -> Result<T, (String, u8)> {
    read(program, args, &|_, error| error.render().to_string())
}

fn read<T: Parser>(
    program: &Program,
    args: impl IntoIterator<Item = OsString>,
    words: &dyn Fn(&clap::Command, &clap::Error) -> String,
) -> Result<T, (String, u8)> {
    let version = format!("{}\n{}", program.version, program.details);
    let version = Str::from(version.trim_end_matches('\n').to_owned());
    let command = T::command().name(program.name).version(version).infer_long_args(true);
    // An option that is given again takes the place of its earlier self, as with getopt.
    let command = with_defaults(command.args_override_self(true).disable_help_subcommand(true), program);
    let args = args.into_iter().map(spell_out_verbosity);
    let args: Vec<OsString> = std::iter::once(OsString::from(program.name)).chain(args).collect();
    // Also beside options that would otherwise be missing or wrong, as with --help.
    if args.iter().any(|arg| arg == "--options" || arg == "-o") {
        return Err((list_options(command), 0));
    }
    let matches = command.clone().try_get_matches_from(args);
    matches.and_then(|matches| T::from_arg_matches(&matches)).map_err(|error| match error.exit_code() {
        0 => (error.render().to_string(), 0),
        _ => (words(&command, &error), 1),
    })
}

/// Puts the defaults that the environment makes into the help of options.
fn with_defaults(command: clap::Command, program: &Program) -> clap::Command {
    let dirs = Dirs::from_env();
    let defaults = [
        ("{nb}", dirs.default_nb_remote()),
        ("{sb}", dirs.default_sb_remote()),
        ("{vswitch}", dirs.default_vswitch_remote()),
        ("{pidfile}", pidfile_path(program, &dirs, None).display().to_string()),
        ("{log_file}", default_log_file(program, &dirs).display().to_string()),
    ];
    command.mut_args(|arg| {
        let Some(help) = arg.get_help().map(ToString::to_string).filter(|help| help.contains('{')) else {
            return arg;
        };
        arg.help(defaults.iter().fold(help, |help, (name, default)| help.replace(name, default)))
    })
}

/// The file of `--log-file` without a name.
pub(super) fn default_log_file(program: &Program, dirs: &Dirs) -> PathBuf {
    dirs.ovs_log.join(format!("{}.log", program.name))
}

/// `-vSPEC` as `--verbose=SPEC`: a short option whose value is optional cannot otherwise have one without a `=`.
fn spell_out_verbosity(arg: OsString) -> OsString {
    match arg.to_str().and_then(|text| text.strip_prefix("-v")) {
        Some("") | None => arg,
        Some(spec) => format!("--verbose={}", spec.strip_prefix('=').unwrap_or(spec)).into(),
    }
}

/// What `--options` prints, for shells that complete command lines: each long option and its short form.
fn list_options(mut command: clap::Command) -> String {
    command.build();
    let mut out = String::new();
    for arg in command.get_arguments().filter(|arg| arg.get_long().is_some()) {
        let optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
        let takes = arg.get_action().takes_values();
        let (equals, value) = match (takes, optional) {
            (false, _) => ("", ""),
            (true, false) => ("=", "ARG"),
            (true, true) => ("=", "[ARG]"),
        };
        out += &format!("--{}{equals}{value}\n", arg.get_long().unwrap_or_default());
        if let Some(short) = arg.get_short() {
            out += &format!("-{short} {value}\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::dirs::Family;

    #[derive(Parser, Debug)]
    struct Northd {
        #[command(flatten)]
        common: CommonOptions,
        #[arg(long, short = 'd')]
        ovnsb_db: Option<String>,
        rest: Vec<String>,
    }

    const PROGRAM: Program = Program {
        name: "ovn-northd",
        family: Family::Ovn,
        version: "26.03.0\nKiln Library 0.1.0",
        details: "SB DB Schema 21.8.0",
        modules: "",
    };

    fn read(line: &str) -> Result<Northd, (String, u8)> {
        parse(&PROGRAM, line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_line_of_stocks_start_script_is_understood() {
        let line = "--ovnsb-db=unix:/x -vconsole:emer -vsyslog:err -vfile:info --log-file=/l --unixctl=u.ctl \
                    --pidfile=/p --detach --monitor --no-chdir --private-key=/k --certificate=/c --ca-cert=/ca \
                    --bootstrap-ca-cert=/b --ssl-protocols=TLSv1.2+ --user=a:b --overwrite-pidfile";
        let options = read(line).expect("understood");
        let common = &options.common;
        assert_eq!(common.log.verbose, ["console:emer", "syslog:err", "file:info"]);
        assert_eq!(common.log.log_file, Some(Some("/l".into())));
        assert_eq!(common.daemon.pidfile, Some(Some("/p".into())));
        assert_eq!(common.control.unixctl.as_deref(), Some(Path::new("u.ctl")));
        assert_eq!(common.daemon.user.as_deref(), Some("a:b"));
        assert!(common.daemon.detach && common.daemon.monitor && common.daemon.no_chdir);
        assert!(common.daemon.overwrite_pidfile);
        assert_eq!(options.ovnsb_db.as_deref(), Some("unix:/x"));
    }

    #[test]
    fn optional_values_need_their_equals_sign() {
        let options = read("--pidfile FILE -v --log-file=x --log-file -vdbg --verb=x").expect("understood");
        let common = &options.common;
        assert_eq!(options.rest, ["FILE"]);
        assert_eq!(common.daemon.pidfile, Some(None));
        assert_eq!(common.log.log_file, Some(None));
        assert_eq!(common.log.verbose, ["any:any:dbg", "dbg", "x"]);
        let nothing = read("").expect("understood");
        assert!(nothing.common.daemon.pidfile.is_none() && nothing.common.log.verbose.is_empty());
    }

    #[test]
    fn what_is_printed_instead() {
        assert_eq!(
            read("--version").expect_err("printed"),
            ("ovn-northd 26.03.0\nKiln Library 0.1.0\nSB DB Schema 21.8.0\n".into(), 0)
        );
        assert_eq!(read("-V").expect_err("printed").1, 0);
        let (help, code) = read("--help").expect_err("printed");
        assert!(
            code == 0 && help.contains("Daemon options:") && help.contains("--pidfile[=<FILE>]"),
            "{help}"
        );
        let (error, code) = read("--bogus").expect_err("printed");
        assert!(code == 1 && error.contains("--bogus"), "{error}");
        let (options, code) = read("--options").expect_err("printed");
        assert_eq!(code, 0);
        assert!(help.contains("ovn-northd.pid)") && help.contains("ovn-northd.log)"), "{help}");
        for line in
            ["--ovnsb-db=ARG\n-d ARG\n", "--pidfile=[ARG]\n", "--detach\n", "--verbose=[ARG]\n-v [ARG]\n"]
        {
            assert!(options.contains(line), "{line} in {options}");
        }
    }

    #[test]
    fn mistakes_are_told_in_stocks_words() {
        for (line, words) in [
            ("--foo", "unrecognized option '--foo'"),
            ("--foo=x", "unrecognized option '--foo'"),
            ("-z", "invalid option -- 'z'"),
            ("--no", "option '--no' is ambiguous; possibilities: '--no-chdir' '--no-self-confinement'"),
            ("--detach=x", "option '--detach' doesn't allow an argument"),
            ("--ssl-protocols", "option '--ssl-protocols' requires an argument"),
        ] {
            assert_eq!(read(line).expect_err(line), (format!("ovn-northd: {words}\n"), 1), "{line}");
        }
        let tool = parse_tool::<Northd>(&PROGRAM, [OsString::from("--foo")]).expect_err("a mistake");
        assert!(tool.0.contains("Usage:"), "{}", tool.0);
    }
}
