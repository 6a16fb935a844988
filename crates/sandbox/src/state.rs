//! The folder of one sandbox, and the journal by which every trace of it can be found again, also after a crash.
//!
//! The journal is a line for each thing that exists outside of the folder, written before a namespace is made and as
//! soon as a process has an id. Every process lives in a namespace of the sandbox's, so a process that a crash kept
//! out of the journal is found there.

use crate::Error;
use crate::error::Context;
use crate::namespace::Namespace;
use crate::process::ProcessId;
use crate::wait::Deadline;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

const JOURNAL: &str = "journal";

/// The folder of a sandbox.
#[derive(Debug)]
pub(crate) struct State {
    folder: PathBuf,
    journal: Mutex<File>,
}

/// What a journal says.
#[derive(Debug, Default)]
struct Journal {
    owner: Option<ProcessId>,
    kept: bool,
    namespaces: Vec<Namespace>,
    processes: Vec<ProcessId>,
}

/// What stands of an earlier sandbox in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    Nothing,
    /// Its maker is at work on it.
    InUse,
    /// It was left to stand.
    Kept,
    /// Its maker is gone.
    Crashed,
}

impl State {
    /// The folder for sandboxes of a user: `$XDG_RUNTIME_DIR/kiln-sandbox`, or else `/tmp/kiln-sandbox`.
    pub(crate) fn default_parent() -> PathBuf {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| "/tmp".into(), PathBuf::from);
        base.join("kiln-sandbox")
    }

    pub(crate) fn earlier(folder: &Path) -> Earlier {
        let Some(journal) = Journal::read(folder) else { return Earlier::Nothing };
        match journal.owner {
            _ if journal.kept => Earlier::Kept,
            Some(owner) if owner.is_alive() => Earlier::InUse,
            _ => Earlier::Crashed,
        }
    }

    /// Makes the folder, which must not be there, and writes this process into its journal.
    pub(crate) fn create(folder: &Path) -> Result<State, Error> {
        let what = || format!("making the folder {}", folder.display());
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).context(what)?;
        }
        fs::create_dir(folder).context(what)?;
        let state = State::open(folder)?;
        let own = ProcessId::of(std::process::id() as i32);
        state.write(&format!("owner {}", own.map(|id| id.to_string()).unwrap_or_default()))?;
        Ok(state)
    }

    /// Opens the folder of a sandbox that stands.
    pub(crate) fn open(folder: &Path) -> Result<State, Error> {
        let path = folder.join(JOURNAL);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let journal = Mutex::new(file.context(|| format!("opening {}", path.display()))?);
        Ok(State { folder: folder.to_owned(), journal })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn write(&self, line: &str) -> Result<(), Error> {
        let mut journal = self.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        journal.write_all(format!("{line}\n").as_bytes()).context(|| "writing the journal".to_owned())
    }

    /// Makes a namespace; one that is there already is somebody else's.
    pub(crate) fn make_namespace(&self, name: String) -> Result<Namespace, Error> {
        let namespace = Namespace::named(name);
        if namespace.exists() {
            let name = namespace.name();
            return Err(Error::Usage(format!(
                "a network namespace `{name}` exists already; choose another --name"
            )));
        }
        self.write(&format!("netns {}", namespace.name()))?;
        namespace.create()?;
        Ok(namespace)
    }

    pub(crate) fn add_process(&self, id: ProcessId) -> Result<(), Error> {
        self.write(&format!("process {id}"))
    }

    /// Leaves the sandbox standing when this process ends.
    pub(crate) fn keep(&self) -> Result<(), Error> {
        self.write("kept")
    }
}

impl Journal {
    fn read(folder: &Path) -> Option<Journal> {
        let text = fs::read_to_string(folder.join(JOURNAL)).ok()?;
        let mut journal = Journal::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("owner", id)) => journal.owner = id.parse().ok(),
                Some(("netns", name)) => journal.namespaces.push(Namespace::named(name)),
                Some(("process", id)) => journal.processes.extend(id.parse::<ProcessId>()),
                _ if line == "kept" => journal.kept = true,
                _ => {}
            }
        }
        Some(journal)
    }
}

/// Removes every trace of the sandbox in `folder`: processes, namespaces with their links, files. True if there was
/// one.
pub(crate) fn clean(folder: &Path) -> Result<bool, Error> {
    let Some(journal) = Journal::read(folder) else { return Ok(false) };
    for process in &journal.processes {
        process.kill();
    }
    let alive: Vec<&Namespace> = journal.namespaces.iter().filter(|namespace| namespace.exists()).collect();
    let deadline = Deadline::after(Duration::from_secs(5));
    for namespace in alive {
        loop {
            let pids = namespace.pids();
            if pids.is_empty() || deadline.left().is_zero() {
                break;
            }
            for id in pids.into_iter().filter_map(ProcessId::of) {
                id.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        namespace.delete()?;
    }
    fs::remove_dir_all(folder).context(|| format!("removing {}", folder.display()))?;
    // The usual parent was made for sandboxes and goes with the last of them; that it is not empty is no error. Another
    // belongs to whoever named it.
    if folder.parent() == Some(&State::default_parent()) {
        let _ = fs::remove_dir(State::default_parent());
    }
    Ok(true)
}
