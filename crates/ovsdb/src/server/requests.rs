//! The methods that clients call, transactions excepted (RFC 7047 section 4.1, ovsdb-server(7) section 4.1).

use kiln_types::{Instant, Uuid};

use super::monitor::{Monitor, Version};
use super::{CloseReason, Server, SessionId};
use crate::column::Text;
use crate::engine::{Error, ErrorKind, elements};
use crate::json::{Decoder, TextCache, write_string};
use crate::schema::is_id;

/// JSON of the result, or of the error.
type Answer = Result<String, String>;

/// The same text for equal JSON values.
pub(super) fn canonical(json: &str) -> String {
    serde_json::from_str::<serde_json::Value>(json)
        .map_or_else(|_| json.to_owned(), |value| value.to_string())
}

/// An error as a response carries it.
pub(super) fn error_json(error: &Error) -> String {
    let mut text = String::new();
    error.encode(&mut text);
    text
}

fn failed(error: Error) -> String {
    error_json(&error)
}

fn string(json: &str) -> Option<String> {
    let mut texts = TextCache::empty();
    Some(Decoder::new(json, &mut texts).string().ok()?.into_owned())
}

impl Server {
    /// Handles a request; `Err` if it is so malformed that stock would hang up too.
    pub(super) fn request(
        &mut self,
        now: Instant,
        session: SessionId,
        method: &str,
        params: &str,
        id: &str,
    ) -> Result<(), CloseReason> {
        let elements = elements(params).map_err(CloseReason::Params)?;
        let answer = match method {
            "echo" => Ok(params.to_owned()),
            "list_dbs" => Ok(self.list_dbs()),
            "get_server_id" => Ok(format!("\"{}\"", self.id)),
            "get_schema" => {
                self.database_param(method, &elements).map(|name| self.databases[&name].schema().to_string())
            }
            "transact" => match self.database_param(method, &elements) {
                Ok(database) => match self.transact_request(now, session, database, params, id) {
                    Ok(()) => return Ok(()),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            },
            "monitor" => self.monitor(session, method, Version::Monitor, &elements),
            "monitor_cond" => self.monitor(session, method, Version::Cond, &elements),
            "monitor_cond_since" => self.monitor(session, method, Version::CondSince, &elements),
            "monitor_cond_change" => self.monitor_cond_change(session, &elements),
            "monitor_cancel" => self.monitor_cancel(session, &elements),
            "lock" => self.lock(session, method, &elements),
            "steal" => self.steal(session, method, &elements),
            "unlock" => self.unlock(session, method, &elements),
            "set_db_change_aware" => self.set_db_change_aware(session, &elements),
            _ => Err("\"unknown method\"".to_owned()),
        };
        match &answer {
            Ok(result) => self.reply(session, id, Ok(result)),
            Err(error) => self.reply(session, id, Err(error)),
        }
        Ok(())
    }

    fn list_dbs(&self) -> String {
        let mut out = String::from("[");
        for (at, name) in self.databases.keys().enumerate() {
            out.push_str(if at == 0 { "" } else { "," });
            write_string(&mut out, name);
        }
        out.push(']');
        out
    }

    fn database_param(&self, method: &str, params: &[&str]) -> Result<Text, String> {
        let Some(name) = params.first().and_then(|name| string(name)) else {
            return Err(failed(Error::syntax(format!(
                "expected a database's name as first parameter of {method}"
            ))));
        };
        match self.databases.get_key_value(name.as_str()) {
            Some((name, _)) => Ok(name.clone()),
            None => {
                Err(failed(Error::new(ErrorKind::UnknownDatabase, format!("{method}: no database {name}"))))
            }
        }
    }

    fn monitor(&mut self, session: SessionId, method: &str, version: Version, params: &[&str]) -> Answer {
        let database = self.database_param(method, params)?;
        let (id, requests) = match (version, params) {
            (Version::Monitor | Version::Cond, [_, id, requests]) => (id, requests),
            (Version::CondSince, [_, id, requests, since]) => {
                if string(since).is_none_or(|since| since.parse::<Uuid>().is_err()) {
                    return Err(failed(Error::syntax(format!(
                        "expected a uuid as last-txn-id, got {since}"
                    ))));
                }
                (id, requests)
            }
            _ => return Err(failed(Error::syntax(format!("unexpected number of parameters of {method}")))),
        };
        let Some(state) = self.sessions.get_mut(&session) else { return Ok(String::new()) };
        let key = canonical(id);
        if state.monitor(&key).is_some() {
            return Err(failed(Error::syntax(format!("there is a monitor {id} already"))));
        }
        if state.monitors.len() >= self.limits.monitors {
            return Err(failed(Error::syntax(format!("more than {} monitors", self.limits.monitors))));
        }
        let db = &self.databases[&database];
        let monitor =
            Monitor::new(database, db.schema(), (*id).to_owned(), key, version, requests).map_err(failed)?;
        let initial = monitor.initial(db);
        state.monitors.push(monitor);
        Ok(initial)
    }

    fn monitor_cond_change(&mut self, session: SessionId, params: &[&str]) -> Answer {
        let [old, new, requests] = params else {
            return Err(failed(Error::syntax("expected 3 parameters of monitor_cond_change")));
        };
        let Some(state) = self.sessions.get_mut(&session) else { return Ok(String::new()) };
        // what is owed so far is owed under the old conditions
        state.flush_monitors(&self.databases);
        let (old_key, new_key) = (canonical(old), canonical(new));
        if old_key != new_key && state.monitor(&new_key).is_some() {
            return Err(failed(Error::syntax(format!("there is a monitor {new} already"))));
        }
        let out = &mut state.out;
        let Some(monitor) = state.monitors.iter_mut().find(|monitor| monitor.key() == old_key) else {
            return Err(failed(Error::syntax(format!("no monitor {old}"))));
        };
        let db = &self.databases[monitor.database()];
        let filters = monitor.parse_change(db.schema(), requests).map_err(failed)?;
        monitor.rename((*new).to_owned(), new_key);
        monitor.change_filters(db, filters);
        monitor.flush(db.schema(), out);
        Ok("{}".to_owned())
    }

    fn monitor_cancel(&mut self, session: SessionId, params: &[&str]) -> Answer {
        let [id] = params else { return Err("\"invalid parameters\"".to_owned()) };
        let key = canonical(id);
        let Some(state) = self.sessions.get_mut(&session) else { return Ok(String::new()) };
        let Some(at) = state.monitors.iter().position(|monitor| monitor.key() == key) else {
            return Err("\"unknown monitor\"".to_owned());
        };
        state.monitors.remove(at);
        Ok("{}".to_owned())
    }

    /// The lock that a request is about, and whether the session has asked for it before.
    fn lock_param(
        &self,
        session: SessionId,
        method: &str,
        params: &[&str],
    ) -> Result<(String, bool), String> {
        let name = if let [name] = params { string(name) } else { None };
        match name.filter(|name| is_id(name)) {
            Some(name) => {
                let asked = self.locks.has_asked(&name, session);
                Ok((name, asked))
            }
            None => Err(failed(Error::syntax(format!("expected one <id> as parameters of {method}")))),
        }
    }

    fn lock(&mut self, session: SessionId, method: &str, params: &[&str]) -> Answer {
        let (name, asked) = self.lock_param(session, method, params)?;
        if asked {
            return Err(failed(Error::syntax(format!("{method}: lock {name} was not unlocked since"))));
        }
        let locked = self.locks.lock(&name, session);
        Ok(format!("{{\"locked\":{locked}}}"))
    }

    fn steal(&mut self, session: SessionId, method: &str, params: &[&str]) -> Answer {
        let (name, asked) = self.lock_param(session, method, params)?;
        if asked {
            return Err(failed(Error::syntax(format!("{method}: lock {name} was not unlocked since"))));
        }
        if let Some(victim) = self.locks.steal(&name, session) {
            self.notify_lock(victim, "stolen", &name);
        }
        Ok("{\"locked\":true}".to_owned())
    }

    fn unlock(&mut self, session: SessionId, method: &str, params: &[&str]) -> Answer {
        let (name, asked) = self.lock_param(session, method, params)?;
        if !asked {
            return Err(failed(Error::syntax(format!("{method}: lock {name} was not asked for"))));
        }
        if let Some(owner) = self.locks.release(&name, session) {
            self.notify_lock(owner, "locked", &name);
        }
        Ok("{}".to_owned())
    }

    fn set_db_change_aware(&mut self, session: SessionId, params: &[&str]) -> Answer {
        let aware = match params {
            ["true"] => true,
            ["false"] => false,
            _ => {
                return Err(failed(Error::syntax(
                    "expected true or false as parameters of set_db_change_aware",
                )));
            }
        };
        if let Some(state) = self.sessions.get_mut(&session) {
            state.db_change_aware = aware;
        }
        Ok("{}".to_owned())
    }
}
