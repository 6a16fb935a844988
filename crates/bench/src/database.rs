//! Stock database servers, and a client that speaks to one of them and waits.

use crate::Result;
use crate::process::Process;
use kiln_ovsdb::Replica;
use kiln_ovsdb::client::{Event, Outcome, Session, SessionConfig, TableMonitor};
use kiln_ovsdb::txn::{OpResult, Txn};
use kiln_sandbox::{Component, Peers};
use kiln_types::Instant;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a server may take to come up, and to answer.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long one look for an answer takes.
const LOOK: Duration = Duration::from_millis(5);

/// A stock ovsdb-server with one empty database.
pub(crate) struct Server {
    pub(crate) process: Process,
    socket: PathBuf,
}

impl Server {
    /// Starts a server for an empty database of a release's schema file, as `ovn/ovn-nb.ovsschema`.
    pub(crate) fn start(peers: &Peers, folder: &Path, name: &'static str, schema: &str) -> Result<Server> {
        let file = folder.join(format!("{name}.db"));
        let schema = peers.share(Component::Stock, schema)?;
        let mut tool = peers.program(Component::Stock, "ovsdb-tool")?;
        let made = tool.arg("create").arg(&file).arg(schema).output()?;
        if !made.status.success() {
            return Err(format!("ovsdb-tool: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        Server::of_file(peers, folder, name)
    }

    /// Starts a server for the database in the file `NAME.db` of the folder.
    pub(crate) fn of_file(peers: &Peers, folder: &Path, name: &'static str) -> Result<Server> {
        let socket = folder.join(format!("{name}.sock"));
        let mut command = peers.program(Component::Stock, "ovsdb-server")?;
        command
            .arg(format!("--remote=punix:{}", socket.display()))
            .arg(format!("--unixctl={}", folder.join(format!("{name}.ctl")).display()))
            .args(["--no-chdir", "-vconsole:warn"])
            .arg(folder.join(format!("{name}.db")));
        let mut process = Process::start(name, command, folder)?;
        let start = std::time::Instant::now();
        while UnixStream::connect(&socket).is_err() {
            process.check()?;
            if start.elapsed() > PATIENCE {
                return Err(format!("{name} does not serve").into());
            }
            std::thread::sleep(LOOK);
        }
        Ok(Server { process, socket })
    }

    /// Where it is, as daemons are told.
    pub(crate) fn remote(&self) -> String {
        format!("unix:{}", self.socket.display())
    }
}

/// A client with a replica.
pub(crate) struct Client<R> {
    session: Session,
    stream: UnixStream,
    start: std::time::Instant,
    /// What it keeps of the database.
    pub(crate) replica: R,
}

impl<R: Replica> Client<R> {
    /// Connects and waits until the replica holds what the server has.
    pub(crate) fn connect(
        server: &Server,
        db: &str,
        tables: Vec<TableMonitor>,
        replica: R,
    ) -> Result<Client<R>> {
        let stream = UnixStream::connect(&server.socket)?;
        stream.set_read_timeout(Some(LOOK))?;
        let mut config = SessionConfig::new(db);
        config.tables = tables;
        let mut client =
            Client { session: Session::new(config), stream, start: std::time::Instant::now(), replica };
        client.session.handle_connected(client.now());
        client.wait("the database to answer", PATIENCE, |client| client.session.is_synced())?;
        Ok(client)
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.start.elapsed().as_micros() as u64)
    }

    /// Sends what is to be sent, and takes what has come within [`LOOK`]; the answer to a transaction, if one came.
    fn pump(&mut self) -> Result<Option<Outcome>> {
        while let Some(bytes) = self.session.poll_transmit() {
            self.stream.write_all(&bytes)?;
        }
        let mut buffer = vec![0; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err("the database server hung up".into()),
            Ok(count) => {
                let now = self.now();
                self.session.handle_bytes(now, &buffer[..count], &mut self.replica);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        let mut answer = None;
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Transacted { outcome, .. } => answer = Some(outcome),
                Event::Close(reason) => return Err(reason.to_string().into()),
                _ => {}
            }
        }
        Ok(answer)
    }

    /// Waits until `condition` holds.
    pub(crate) fn wait(
        &mut self,
        what: &str,
        deadline: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let start = std::time::Instant::now();
        while !condition(self) {
            if start.elapsed() > deadline {
                return Err(format!("waited {deadline:?} for {what}").into());
            }
            self.pump()?;
        }
        Ok(())
    }

    /// An empty transaction.
    pub(crate) fn txn(&self) -> Txn {
        self.session.txn()
    }

    /// Sends a transaction and waits until it is committed.
    pub(crate) fn commit(&mut self, txn: Txn) -> Result<Vec<OpResult>> {
        self.session.transact(txn);
        let start = std::time::Instant::now();
        loop {
            match self.pump()? {
                Some(Outcome::Committed(results)) => return Ok(results),
                Some(other) => return Err(format!("a transaction was not committed: {other:?}").into()),
                None if start.elapsed() > PATIENCE => return Err("the database does not answer".into()),
                None => {}
            }
        }
    }
}
