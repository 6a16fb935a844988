//! Transactions whose `wait` does not hold yet (RFC 7047 section 5.2.6).

use std::time::Duration;

use kiln_types::Instant;

use super::requests::{canonical, error_json};
use super::{Server, SessionId};
use crate::column::Text;
use crate::engine::{Error, Outcome};

/// A transaction to be run again.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Unique in the server, ascending by arrival.
    pub(super) number: u64,
    database: Text,
    /// The request's id in its canonical form.
    key: String,
    /// JSON of the request's id and parameters.
    id: String,
    params: String,
    arrived: Instant,
    timeout: Option<Duration>,
}

impl Waiting {
    pub(super) fn deadline(&self) -> Instant {
        self.timeout.map_or(Instant::FAR_FUTURE, |timeout| self.arrived + timeout)
    }
}

/// What became of a transaction.
enum Run {
    Answered,
    /// It is to be run again, at the latest so long after its arrival.
    Waiting {
        timeout: Option<Duration>,
    },
}

impl Server {
    /// Runs a `transact` request, or lets it wait.
    pub(super) fn transact_request(
        &mut self,
        now: Instant,
        session: SessionId,
        database: Text,
        params: &str,
        id: &str,
    ) -> Result<(), String> {
        let Some(state) = self.sessions.get(&session) else { return Ok(()) };
        let key = canonical(id);
        if state.waiting.iter().any(|waiting| waiting.key == key) {
            return Err(error_json(&Error::syntax(format!("transaction {id} waits already"))));
        }
        if state.waiting.len() >= self.limits.waiting_transactions {
            let max = self.limits.waiting_transactions;
            return Err(error_json(&Error::syntax(format!("more than {max} transactions wait"))));
        }
        let Run::Waiting { timeout } = self.run_transaction(session, &database, params, id, Duration::ZERO)
        else {
            self.settle(now);
            return Ok(());
        };
        let (id, params) = (id.to_owned(), params.to_owned());
        let waiting = Waiting { number: self.next_waiting, database, key, id, params, arrived: now, timeout };
        self.next_waiting += 1;
        self.deadlines.insert((waiting.deadline(), session, waiting.number));
        if let Some(state) = self.sessions.get_mut(&session) {
            state.waiting.push(waiting);
        }
        Ok(())
    }

    /// Runs a transaction and answers it, unless it has to wait.
    fn run_transaction(
        &mut self,
        session: SessionId,
        database: &str,
        params: &str,
        id: &str,
        waited: Duration,
    ) -> Run {
        let Some(db) = self.databases.get_mut(database) else { return Run::Answered };
        let locks = &self.locks;
        match db.transact(params, waited, &|lock| locks.owner(lock) == Some(session)) {
            Outcome::Waiting { timeout } => return Run::Waiting { timeout },
            Outcome::Malformed(error) => {
                self.reply(session, id, Err(&error_json(&error)));
            }
            Outcome::Finished { results, commit } => {
                self.note_commit(database, &commit);
                self.reply(session, id, Ok(&results));
            }
        }
        Run::Answered
    }

    /// Runs the transactions that wait for a change of what has changed, in the order of their arrival, until nothing
    /// changes any more.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(database) = self.changed.pop_first() {
            let mut numbers = Vec::new();
            for (id, session) in &self.sessions {
                let here = session.waiting.iter().filter(|waiting| waiting.database == database);
                numbers.extend(here.map(|waiting| (waiting.number, *id)));
            }
            numbers.sort_unstable();
            for (number, session) in numbers {
                self.rerun(now, session, number);
            }
        }
    }

    /// Runs the transactions whose time is up.
    pub(super) fn expire_waiting(&mut self, now: Instant) {
        let due: Vec<_> = self.deadlines.range(..=(now, SessionId(u64::MAX), u64::MAX)).copied().collect();
        for (_, session, number) in due {
            self.rerun(now, session, number);
        }
    }

    fn take_waiting(&mut self, session: SessionId, found: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
        let state = self.sessions.get_mut(&session)?;
        let at = state.waiting.iter().position(found)?;
        let waiting = state.waiting.remove(at);
        self.deadlines.remove(&(waiting.deadline(), session, waiting.number));
        Some(waiting)
    }

    fn rerun(&mut self, now: Instant, session: SessionId, number: u64) {
        let Some(mut waiting) = self.take_waiting(session, |waiting| waiting.number == number) else {
            return;
        };
        let Waiting { database, id, params, arrived, .. } = &waiting;
        let waited = now.saturating_since(*arrived);
        let Run::Waiting { timeout } = self.run_transaction(session, database, params, id, waited) else {
            return;
        };
        waiting.timeout = timeout;
        self.deadlines.insert((waiting.deadline(), session, number));
        if let Some(state) = self.sessions.get_mut(&session) {
            state.waiting.push(waiting);
        }
    }

    /// `cancel` (RFC 7047 section 4.1.4): the transaction, if it still waits, fails.
    pub(super) fn cancel(&mut self, session: SessionId, params: &str) {
        let Ok(params) = crate::engine::elements(params) else { return };
        let [id] = params[..] else { return };
        let key = canonical(id);
        if let Some(waiting) = self.take_waiting(session, |waiting| waiting.key == key) {
            self.reply(session, &waiting.id, Err("\"canceled\""));
        }
    }

    /// Fails the transactions that wait in a database.
    pub(super) fn cancel_waiting_in(&mut self, database: &str) {
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in sessions {
            while let Some(waiting) = self.take_waiting(session, |waiting| &*waiting.database == database) {
                self.reply(session, &waiting.id, Err("\"canceled\""));
            }
        }
    }
}
