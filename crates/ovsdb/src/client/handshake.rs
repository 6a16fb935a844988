//! From a connection to a replica that follows, and what the server says after.

use std::sync::Arc;

use kiln_types::Uuid;

use super::config::write_table;
use super::event::{CloseReason, Event, MonitorMethod, Outcome, TxnId};
use super::offered::OfferedSchema;
use super::server_db::ServerDb;
use super::session::{Pending, Session, Stage};
use super::updates::{self, Form, Skipped};
use crate::json::{DecodeError, Decoder, TextCache, write_string};
use crate::row::{Replica, RowDecoder};
use crate::txn::{OpError, OpResult, Txn, TxnReply};

type Answer<'a> = Result<&'a str, &'a str>;

impl Session {
    /// Asks the server about its databases.
    pub(super) fn begin(&mut self) {
        self.stage = Stage::ServerAwaited;
        let mut params = String::from("[");
        write_string(&mut params, ServerDb::DB);
        params.push(',');
        params.push_str(Self::SERVER);
        params.push(',');
        params.push_str(ServerDb::MONITOR);
        params.push(']');
        self.request("monitor_cond", &params, Pending::ServerMonitor);
    }

    pub(super) fn handle_response(
        &mut self,
        request: u64,
        pending: Pending,
        answer: Answer<'_>,
        replica: &mut dyn Replica,
    ) -> Result<(), CloseReason> {
        match pending {
            Pending::Any => Ok(()),
            Pending::ServerMonitor => self.server_monitored(answer),
            Pending::Schema => self.schema_known(answer),
            Pending::Monitor { method, since } => self.monitored(request, method, since, answer, replica),
            Pending::ConditionChange => {
                // one sent before the monitor was canceled no longer matters
                if self.conditions.awaits(request) {
                    accepted("monitor_cond_change", answer)?;
                    self.conditions.answered(request);
                    // The server may have seen transactions that touched no row under the old conditions, so it has told
                    // us of none: what it would count as known under the new ones is not what we hold. The next update
                    // names the transaction at which we do.
                    self.last_txn = Uuid::nil();
                    self.events.push_back(Event::ConditionsInForce { seq: self.conditions.acked_seq() });
                    self.send_conditions();
                }
                Ok(())
            }
            Pending::Lock(method) => {
                let locked = lock_answer(accepted(method, answer)?)
                    .map_err(|error| CloseReason::malformed("answer to lock", error))?;
                let event = self.lock.answered(request, locked);
                self.lock_changed(event);
                Ok(())
            }
            Pending::Transaction { ops } => {
                if self.transactions_in_flight() == 0 {
                    self.unanswered_bytes = 0;
                }
                let outcome = match read_transaction(answer, ops)? {
                    TxnReply::Committed(results) => Outcome::Committed(results),
                    TxnReply::Failed(error) => Outcome::Failed(error),
                };
                self.transacted(TxnId(request), outcome);
                Ok(())
            }
            Pending::Reread { table, row } => self.row_reread(&table, row, answer, replica),
        }
    }

    fn server_monitored(&mut self, answer: Answer<'_>) -> Result<(), CloseReason> {
        // servers before 2.9 have no such database
        if let Ok(result) = answer {
            self.server_db_known = true;
            self.apply_server(result)?;
            self.check_server()?;
            // else the server would close the connection when the database is converted
            self.request("set_db_change_aware", "[true]", Pending::Any);
        }
        self.ask_schema();
        Ok(())
    }

    fn apply_server(&mut self, updates: &str) -> Result<(), CloseReason> {
        let mut json = Decoder::new(updates, &mut self.texts);
        let monitored = |table: &str| table == ServerDb::TABLE;
        let mut skipped = Skipped::default();
        updates::apply(&mut json, Form::Difference, &monitored, &mut self.server_db, &mut skipped)?;
        Ok(())
    }

    /// Whether the server is one to talk to.
    pub(super) fn check_server(&mut self) -> Result<(), CloseReason> {
        if !self.server_db_known {
            return Ok(());
        }
        match self.server_db.find(&self.config.db, self.config.cluster_id) {
            Some(info) => info.check(self.config.leader_only, &mut self.seen_index),
            None => Err(CloseReason::NotServed),
        }
    }

    fn ask_schema(&mut self) {
        self.stage = Stage::SchemaAwaited;
        let mut params = String::from("[");
        write_string(&mut params, &self.config.db);
        params.push(']');
        self.request("get_schema", &params, Pending::Schema);
    }

    fn schema_known(&mut self, answer: Answer<'_>) -> Result<(), CloseReason> {
        let text = match accepted("get_schema", answer) {
            Err(CloseReason::Refused { error, .. }) if error.error == "unknown database" => {
                return Err(CloseReason::NotServed);
            }
            other => other?,
        };
        let offered = OfferedSchema::parse(text).map_err(|error| CloseReason::malformed("schema", error))?;
        if self.offered.as_deref() != Some(&offered) {
            // what resumes would lack the content of new columns
            self.last_txn = Uuid::nil();
            self.offered = Some(Arc::new(offered));
        }
        self.ask_monitor(MonitorMethod::MonitorCondSince);
        Ok(())
    }

    pub(super) fn ask_monitor(&mut self, method: MonitorMethod) {
        let Some(offered) = self.offered.clone() else { return };
        self.stage = Stage::MonitorAwaited;
        self.send_lock("lock");
        let resumes = method == MonitorMethod::MonitorCondSince && !self.is_blind();
        let since = if resumes { self.last_txn } else { Uuid::nil() };
        let request = self.upcoming_request();
        let mut missing = Vec::new();
        let tables = &self.config.tables;
        let conditions =
            self.conditions.begin_monitor(request, !since.is_nil(), tables, &offered, &mut missing);

        let mut params = String::from("[");
        write_string(&mut params, &self.config.db);
        params.push(',');
        params.push_str(Self::DATA);
        params.push_str(",{");
        let mut first = true;
        for (table, condition) in tables.iter().zip(conditions) {
            if !offered.has_table(&table.table) {
                missing.push(crate::txn::Missing {
                    table: table.table.as_str().into(),
                    column: None,
                    value: None,
                });
                continue;
            }
            if !std::mem::take(&mut first) {
                params.push(',');
            }
            let condition = Some(&**condition).filter(|_| method != MonitorMethod::Monitor);
            write_table(&mut params, table, condition, &offered, &mut missing);
        }
        params.push('}');
        if method == MonitorMethod::MonitorCondSince {
            params.push_str(",\"");
            params.push_str(since.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
            params.push('"');
        }
        params.push(']');
        for missing in missing {
            self.note_missing(missing);
        }
        self.request(method.as_str(), &params, Pending::Monitor { method, since });
    }

    fn monitored(
        &mut self,
        request: u64,
        method: MonitorMethod,
        since: Uuid,
        answer: Answer<'_>,
        replica: &mut dyn Replica,
    ) -> Result<(), CloseReason> {
        let result = match accepted(method.as_str(), answer) {
            Err(CloseReason::Refused { error, .. }) if error.error == "unknown method" => {
                let older = match method {
                    MonitorMethod::MonitorCondSince => MonitorMethod::MonitorCond,
                    MonitorMethod::MonitorCond => MonitorMethod::Monitor,
                    MonitorMethod::Monitor => {
                        return Err(CloseReason::Refused { method: method.as_str(), error });
                    }
                };
                self.ask_monitor(older);
                return Ok(());
            }
            other => other?,
        };
        let resumed = self.take_content(method, since, result, replica)?;
        self.method = Some(method);
        self.stage = Stage::Synced;
        let before = self.conditions.acked_seq();
        self.conditions.answered(request);
        if method == MonitorMethod::Monitor {
            self.conditions.all_rows();
        }
        self.events.push_back(Event::Synced { method, resumed });
        if self.conditions.acked_seq() != before {
            self.events.push_back(Event::ConditionsInForce { seq: self.conditions.acked_seq() });
        }
        self.send_conditions();
        self.send_lock("lock");
        self.reread_stale();
        Ok(())
    }

    /// Reads a monitor's initial answer; whether it held only what is new.
    fn take_content(
        &mut self,
        method: MonitorMethod,
        since: Uuid,
        result: &str,
        replica: &mut dyn Replica,
    ) -> Result<bool, CloseReason> {
        let malformed = |error: DecodeError| CloseReason::malformed("answer to monitor", error);
        let mut json = Decoder::new(result, &mut self.texts);
        let (mut found, mut last_txn) = (false, Uuid::nil());
        if method == MonitorMethod::MonitorCondSince {
            json.begin_array().map_err(malformed)?;
            found = json.boolean().map_err(malformed)? && !since.is_nil();
            json.comma().map_err(malformed)?;
            last_txn = json.uuid_string().map_err(malformed)?;
            json.comma().map_err(malformed)?;
        }
        if !found {
            self.skipped.clear();
            replica.begin_refetch();
        }
        let form = if method == MonitorMethod::Monitor { Form::Full } else { Form::Difference };
        let tables = &self.config.tables;
        let monitored = |table: &str| tables.iter().any(|t| t.table == table);
        let rows = updates::apply(&mut json, form, &monitored, replica, &mut self.skipped)?;
        if method == MonitorMethod::MonitorCondSince {
            json.end_array().map_err(malformed)?;
        }
        json.end().map_err(malformed)?;
        if !found {
            replica.end_refetch();
        }
        self.last_txn = last_txn;
        self.stats.rows += rows;
        Ok(found)
    }

    /// Sends the conditions that are wanted, if the server can be told now.
    pub(super) fn send_conditions(&mut self) {
        let (Stage::Synced, Some(offered)) = (self.stage, self.offered.clone()) else { return };
        if self.method == Some(MonitorMethod::Monitor) {
            self.conditions.all_rows();
            return;
        }
        let before = self.conditions.acked_seq();
        let mut missing = Vec::new();
        let request = self.upcoming_request();
        let params =
            self.conditions.next_change(Self::DATA, request, &self.config.tables, &offered, &mut missing);
        for missing in missing {
            self.note_missing(missing);
        }
        if let Some(params) = params {
            self.request("monitor_cond_change", &params, Pending::ConditionChange);
        } else if self.conditions.acked_seq() != before {
            self.events.push_back(Event::ConditionsInForce { seq: self.conditions.acked_seq() });
        }
    }

    pub(super) fn handle_notification(
        &mut self,
        method: &str,
        params: &str,
        replica: &mut dyn Replica,
    ) -> Result<(), CloseReason> {
        match method {
            "update" => self.update(Form::Full, false, params, replica),
            "update2" => self.update(Form::Difference, false, params, replica),
            "update3" => self.update(Form::Difference, true, params, replica),
            "locked" | "stolen" => {
                let name = first_string(params)
                    .map_err(|error| CloseReason::malformed("lock notification", error))?;
                let event = self.lock.notified(&name, method == "locked");
                self.lock_changed(event);
                Ok(())
            }
            "monitor_canceled" => {
                self.canceled(params);
                Ok(())
            }
            _ => {
                self.stats.unexpected += 1;
                Ok(())
            }
        }
    }

    fn update(
        &mut self,
        form: Form,
        with_txn: bool,
        params: &str,
        replica: &mut dyn Replica,
    ) -> Result<(), CloseReason> {
        let malformed = |error: DecodeError| CloseReason::malformed("update", error);
        let mut json = Decoder::new(params, &mut self.texts);
        json.begin_array().map_err(malformed)?;
        let monitor = json.raw_value().map_err(malformed)?;
        json.comma().map_err(malformed)?;
        if monitor == Self::SERVER && self.server_db_known {
            let updates = &params[json.position()..];
            self.apply_server(updates)?;
            return self.check_server();
        }
        if monitor != Self::DATA || self.stage != Stage::Synced {
            self.stats.unexpected += 1;
            return Ok(());
        }
        let mut last_txn = Uuid::nil();
        if with_txn {
            last_txn = json.uuid_string().map_err(malformed)?;
            json.comma().map_err(malformed)?;
        }
        let tables = &self.config.tables;
        let monitored = |table: &str| tables.iter().any(|t| t.table == table);
        let rows = updates::apply(&mut json, form, &monitored, replica, &mut self.skipped)?;
        json.end_array().and_then(|()| json.end()).map_err(malformed)?;
        self.last_txn = last_txn;
        self.stats.rows += rows;
        if rows > 0 && self.events.back() != Some(&Event::Updated) {
            self.events.push_back(Event::Updated);
        }
        self.reread_stale();
        Ok(())
    }

    /// The server has ended a monitor because the database was converted or is gone: begins again with the schema.
    fn canceled(&mut self, params: &str) {
        match params.strip_prefix('[').and_then(|p| p.strip_suffix(']')).map(str::trim) {
            Some(Self::DATA) if self.stage == Stage::Synced => {
                self.method = None;
                self.last_txn = Uuid::nil();
                self.ask_schema();
            }
            Some(Self::SERVER) => self.server_db_known = false,
            _ => self.stats.unexpected += 1,
        }
    }

    /// Reads rows anew that were skipped and have changed since. The answer comes after every change that it includes and
    /// before every other, so it can be put like an insert.
    fn reread_stale(&mut self) {
        for (table, row) in std::mem::take(&mut self.skipped.stale) {
            let Some(offered) = self.offered.clone() else { return };
            let mut txn = Txn::for_schema(&self.config.db, offered);
            let mut select = txn.select(&table);
            select.row(row);
            for column in self.config.tables.iter().filter(|t| *t.table == *table).flat_map(|t| &t.columns) {
                select.column(column);
            }
            drop(select);
            self.request("transact", &txn.into_params(), Pending::Reread { table, row });
        }
    }

    fn row_reread(
        &mut self,
        table: &str,
        row: Uuid,
        answer: Answer<'_>,
        replica: &mut dyn Replica,
    ) -> Result<(), CloseReason> {
        if !self.skipped.take_answer(table, row) {
            return Ok(());
        }
        let TxnReply::Committed(results) = read_transaction(answer, 1)? else { return Ok(()) };
        let [OpResult::Rows(rows)] = &results[..] else { return Ok(()) };
        let malformed = |error: DecodeError| CloseReason::malformed("selected row", error);
        let mut json = Decoder::new(rows, &mut self.texts);
        let mut first = true;
        json.begin_array().map_err(malformed)?;
        if json.next_element(&mut first).map_err(malformed)? {
            self.skipped.put(replica, &mut RowDecoder::new(json, table, row))?;
            self.stats.rows += 1;
            self.events.push_back(Event::Updated);
        }
        Ok(())
    }
}

/// The result, or the refusal.
fn accepted<'a>(method: &'static str, answer: Answer<'a>) -> Result<&'a str, CloseReason> {
    answer.map_err(|error| match read_error(error) {
        Ok(error) => CloseReason::Refused { method, error },
        Err(error) => CloseReason::malformed("error", error),
    })
}

fn read_error(text: &str) -> Result<OpError, DecodeError> {
    OpError::decode(&mut Decoder::new(text, &mut TextCache::empty()), None)
}

fn read_transaction(answer: Answer<'_>, ops: usize) -> Result<TxnReply, CloseReason> {
    let malformed = |error: DecodeError| CloseReason::malformed("answer to transact", error);
    match answer {
        Ok(result) => {
            TxnReply::decode(&mut Decoder::new(result, &mut TextCache::empty()), ops).map_err(malformed)
        }
        Err(error) => read_error(error).map(TxnReply::Failed).map_err(malformed),
    }
}

/// `{"locked": <boolean>}`
fn lock_answer(result: &str) -> Result<bool, DecodeError> {
    let mut texts = TextCache::empty();
    let mut json = Decoder::new(result, &mut texts);
    let mut locked = false;
    let mut first = true;
    json.begin_object()?;
    while let Some(member) = json.next_member(&mut first)? {
        match member {
            "locked" => locked = json.boolean()?,
            _ => json.skip_value()?,
        }
    }
    Ok(locked)
}

/// The first of an array of strings.
fn first_string(params: &str) -> Result<String, DecodeError> {
    let mut texts = TextCache::empty();
    let mut json = Decoder::new(params, &mut texts);
    json.begin_array()?;
    Ok(json.string()?.into_owned())
}
