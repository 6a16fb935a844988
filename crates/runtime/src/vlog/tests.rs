//! The log as a whole, through `tracing`, into a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tracing::{debug, error, info, warn};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

/// `tracing` keeps one cache, for the whole process, of which statements anybody wants; a change of levels on one thread
/// can therefore silence another's for a moment. A daemon has one log; tests take turns.
static TURN: Mutex<()> = Mutex::new(());

struct Log {
    logger: Logger,
    dir: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Log {
    fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().expect("temporary directory");
        let logger = Logger::new("ovn-northd", "northd reconnect");
        logger.set_syslog_method(SyslogMethod::Null);
        logger.apply("console:off").expect("known words");
        logger.set_log_file(dir.path().join("x.log")).expect("writable");
        Log { logger, dir, _turn: turn }
    }

    fn run(&self, body: impl FnOnce()) {
        let subscriber = tracing_subscriber::registry().with(self.logger.layer());
        tracing::subscriber::with_default(subscriber, body);
    }

    /// The lines so far, without the time and the number.
    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join("x.log")).expect("log file");
        // The name of a test's thread stands in parentheses behind the module.
        let tidy = |line: &str| {
            let rest = line.splitn(3, '|').nth(2).expect("three fields");
            let (module, rest) = rest.split_once('|').expect("a module");
            format!("{}|{rest}", module.split('(').next().expect("a name"))
        };
        text.lines().map(tidy).collect()
    }
}

#[test]
fn lines_look_like_stocks() {
    let log = Log::new();
    log.run(|| warn!(target: "reconnect", port = 5, "no {}", "answer"));
    let text = fs::read_to_string(log.dir.path().join("x.log")).expect("log file");
    let line = text.lines().last().expect("a line");
    let (time, rest) = line.split_once('|').expect("fields");
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
    let (number, rest) = rest.split_once('|').expect("fields");
    assert!(number.len() == 5 && number.parse::<u32>().is_ok_and(|n| n >= 2), "{number}");
    assert!(rest.starts_with("reconnect(") && rest.ends_with(")|WARN|no answer port=5"), "{rest}");
    let mode = fs::metadata(log.dir.path().join("x.log")).expect("log file").permissions().mode();
    assert_eq!(mode & 0o7, 0, "not for everybody");
}

#[test]
fn levels_rule_by_module_and_change_at_once() {
    let log = Log::new();
    log.run(|| {
        let say = || {
            debug!(target: "northd", "deep");
            info!(target: "kiln_northd::router::arp", "plain");
            error!(target: "reconnect", "bad");
        };
        say();
        log.logger.apply("northd:file:dbg").expect("known");
        log.logger.apply("reconnect:file:off").expect("known");
        say();
        log.logger.apply("any:any:off").expect("known");
        say();
    });
    assert_eq!(
        log.lines()[1..],
        ["northd|INFO|plain", "reconnect|ERR|bad", "northd|DBG|deep", "northd|INFO|plain"]
    );
    assert!(log.logger.list().contains("reconnect          OFF        OFF        OFF\n"));
}

#[test]
fn each_statement_has_its_own_limit() {
    let log = Log::new();
    log.run(|| {
        for i in 0..10 {
            warn!(target: "northd", rl = 2, "first {i}");
            warn!(target: "northd", rl = 3, "second {i}");
            info!(target: "northd", "third {i}");
        }
        log.logger.set_rate_limits(["northd"], false).expect("known");
        for i in 10..20 {
            warn!(target: "northd", rl = 2, "unlimited {i}");
        }
    });
    let lines = log.lines();
    let count = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
    assert_eq!((count("first"), count("second"), count("third"), count("unlimited")), (2, 3, 10, 10));
    assert!(!lines.iter().any(|line| line.contains("rl=")));
    assert!(matches!(log.logger.set_rate_limits(["nono"], true), Err(LogError::UnknownModule)));
}

#[test]
fn a_statement_without_a_limit_has_the_default_one() {
    let log = Log::new();
    log.run(|| {
        for i in 0..DEFAULT_PER_MINUTE + 500 {
            warn!(target: "northd", "flood {i}");
        }
    });
    let passed = log.lines().iter().filter(|line| line.contains("flood")).count();
    // A slow run may accrue a few more.
    assert!((1000..1200).contains(&passed), "{passed}");
}

#[test]
fn what_peers_send_cannot_forge_lines() {
    let log = Log::new();
    log.run(
        || info!(target: "northd", "name \"{}\"", "x\n2026-01-01T00:00:00.000Z|00009|fake|EMER|\x1b[31m"),
    );
    assert_eq!(
        log.lines()[1..],
        ["northd|INFO|name \"x\\n2026-01-01T00:00:00.000Z|00009|fake|EMER|\\u{1b}[31m\""]
    );
}

#[test]
fn a_rotated_file_is_opened_anew() {
    let log = Log::new();
    let path = log.dir.path().join("x.log");
    log.run(|| {
        fs::rename(&path, log.dir.path().join("old.log")).expect("rename");
        info!(target: "northd", "still to the old one");
        log.logger.reopen().expect("reopens");
        info!(target: "northd", "to the new one");
        log.logger.close();
        info!(target: "northd", "nowhere");
    });
    let opened = format!("vlog|INFO|opened log file {}", path.display());
    assert_eq!(log.lines(), [opened.as_str(), "northd|INFO|to the new one"]);
    let old = fs::read_to_string(log.dir.path().join("old.log")).expect("old file");
    assert!(old.lines().nth(1).expect("line").ends_with("still to the old one"), "{old}");
}

#[test]
fn patterns_and_facility_reach_syslog() {
    let log = Log::new();
    let path = log.dir.path().join("dev-log");
    let daemon = std::os::unix::net::UnixDatagram::bind(&path).expect("bind");
    log.logger.set_syslog_method(SyslogMethod::Unix(path));
    log.logger.apply("FACILITY:local0").expect("known");
    log.logger.apply("PATTERN:syslog:%c:%p:%m").expect("known");
    log.run(|| error!(target: "northd", "hello"));
    let mut buffer = [0; 256];
    let len = daemon.recv(&mut buffer).expect("a message");
    let text = String::from_utf8_lossy(&buffer[..len]);
    assert!(text.starts_with("<131> ") && text.ends_with(" ovn-northd: northd:ERR:hello"), "{text}");
    assert!(log.logger.list_pattern().contains("SYSLOG   <%B> %D{%h %e %T} %E %A:          %c:%p:%m\n"));
}

#[test]
fn there_may_be_no_file() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let logger = Logger::new("p", "");
    logger.apply("console:off").expect("known words");
    logger.set_syslog_method(SyslogMethod::Null);
    assert_eq!(logger.reopen().expect_err("none").to_string(), "Logging to file not configured");
    logger.close();
    assert!(matches!(logger.set_log_file("/nonexistent/x".into()), Err(LogError::Open(_))));
}
