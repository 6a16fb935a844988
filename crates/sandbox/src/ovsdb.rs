//! Sessions with the sandbox's own database servers, on their Unix sockets, one at a time and only as long as needed.

use crate::Error;
use crate::error::Context;
use crate::wait::{Deadline, check_interrupt};
use kiln_ovsdb::client::{Event, Outcome, Session, SessionConfig, TableMonitor};
use kiln_ovsdb::txn::{Function, OpResult, Txn, decode_rows};
use kiln_ovsdb::{Column, Replica, RowDecoder, RowError};
use kiln_types::{Instant, Uuid};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a server may take to answer.
const ANSWER: Duration = Duration::from_secs(20);

/// How long a look at a condition takes before daemons and Ctrl-C are looked at again.
const POLL: Duration = Duration::from_millis(5);

/// A database on a server.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// Its name in the schema.
    pub(crate) name: &'static str,
    pub(crate) socket: PathBuf,
}

/// A session that keeps a replica.
pub(crate) struct Client<R> {
    database: Database,
    session: Session,
    stream: UnixStream,
    start: std::time::Instant,
    pub(crate) replica: R,
}

/// A replica of nothing, for sessions that only ask and tell.
#[derive(Debug)]
pub(crate) struct Nothing;

impl Replica for Nothing {
    fn put(&mut self, _: &str, _: Uuid, _: &mut RowDecoder<'_>) -> Result<(), RowError> {
        Ok(())
    }
    fn patch(&mut self, _: &str, _: Uuid, _: &mut RowDecoder<'_>) -> Result<(), RowError> {
        Ok(())
    }
    fn delete(&mut self, _: &str, _: Uuid) {}
    fn begin_refetch(&mut self) {}
    fn end_refetch(&mut self) {}
}

impl Database {
    pub(crate) fn new(name: &'static str, socket: &Path) -> Database {
        Database { name, socket: socket.to_owned() }
    }

    /// Opens a session that only asks and tells.
    pub(crate) fn open(&self) -> Result<Client<Nothing>, Error> {
        self.open_with(Vec::new(), Nothing)
    }

    /// Opens a session and waits until the replica holds what the server has.
    pub(crate) fn open_with<R: Replica>(
        &self,
        tables: Vec<TableMonitor>,
        replica: R,
    ) -> Result<Client<R>, Error> {
        let what = || format!("connecting to the server of {}", self.name);
        let stream = UnixStream::connect(&self.socket).context(what)?;
        stream.set_read_timeout(Some(POLL)).context(what)?;
        stream.set_write_timeout(Some(ANSWER)).context(what)?;
        let mut config = SessionConfig::new(self.name);
        config.tables = tables;
        let (database, start) = (self.clone(), std::time::Instant::now());
        let mut client = Client { database, session: Session::new(config), stream, start, replica };
        client.session.handle_connected(client.now());
        let deadline = Deadline::after(ANSWER);
        deadline.until("the database server to answer", || {
            client.pump()?;
            Ok(client.session.is_synced().then_some(()))
        })?;
        Ok(client)
    }
}

impl<R: Replica> Client<R> {
    fn now(&self) -> Instant {
        Instant::from_micros(self.start.elapsed().as_micros() as u64)
    }

    fn failed(&self, error: impl Into<String>) -> Error {
        Error::Database { database: self.database.name, error: error.into() }
    }

    /// Sends what is to be sent and takes what has come within [`POLL`]; the answer to a transaction, if one came.
    fn pump(&mut self) -> Result<Option<Outcome>, Error> {
        let what = || format!("talking to the server of {}", self.database.name);
        while let Some(bytes) = self.session.poll_transmit() {
            self.stream.write_all(&bytes).context(what)?;
        }
        let mut buffer = [0; 8192];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(self.failed("the server hung up")),
            Ok(count) => {
                let now = self.now();
                self.session.handle_bytes(now, &buffer[..count], &mut self.replica);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context(what),
        }
        let mut answer = None;
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Transacted { outcome, .. } => answer = Some(outcome),
                Event::Close(reason) => return Err(self.failed(reason.to_string())),
                _ => {}
            }
        }
        Ok(answer)
    }

    /// An empty transaction for the server at hand.
    pub(crate) fn txn(&self) -> Txn {
        self.session.txn()
    }

    /// Sends a transaction and waits for what becomes of it.
    pub(crate) fn transact(&mut self, txn: Txn) -> Result<Outcome, Error> {
        self.session.transact(txn);
        Deadline::after(ANSWER).until("the database server to answer", || self.pump())
    }

    /// Sends a transaction that nothing can conflict with.
    pub(crate) fn commit(&mut self, txn: Txn) -> Result<Vec<OpResult>, Error> {
        match self.transact(txn)? {
            Outcome::Committed(results) => Ok(results),
            Outcome::Failed(error) => Err(self.failed(error.to_string())),
            Outcome::Lost | Outcome::NotSent => Err(self.failed("the server hung up")),
        }
    }

    /// The value of a column in the rows that match.
    pub(crate) fn values<T: Column>(
        &mut self,
        table: &str,
        matching: &[(&str, &str)],
        column: &str,
    ) -> Result<Vec<T>, Error> {
        let mut txn = self.txn();
        let mut select = txn.select(table);
        select.column(column);
        for (key, value) in matching {
            select.filter(key, Function::Equal, *value);
        }
        drop(select);
        let results = self.commit(txn)?;
        let mut values = Vec::new();
        if let Some(OpResult::Rows(rows)) = results.first() {
            let read = decode_rows(table, rows, |row| {
                while row.next_column()?.is_some() {
                    values.push(row.value()?);
                }
                Ok(())
            });
            read.map_err(|error| self.failed(error.to_string()))?;
        }
        Ok(values)
    }

    /// Asks `condition` until it has an answer, and `check` in between.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        deadline: Deadline,
        mut condition: impl FnMut(&mut Self) -> Result<Option<T>, Error>,
        mut check: impl FnMut() -> Result<(), Error>,
    ) -> Result<T, Error> {
        loop {
            if let Some(answer) = condition(self)? {
                return Ok(answer);
            }
            check_interrupt()?;
            check()?;
            if deadline.left().is_zero() {
                return Err(deadline.error(what));
            }
            self.pump()?;
        }
    }
}
