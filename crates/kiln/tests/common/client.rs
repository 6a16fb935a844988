//! A client of a database server, for whatever tests write and look at.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    database: &'static str,
    buffer: Vec<u8>,
    next: u64,
}

impl Client {
    #[track_caller]
    pub fn connect(socket: &Path, database: &'static str) -> Client {
        Client::try_connect(socket, database).unwrap_or_else(|error| panic!("{}: {error}", socket.display()))
    }

    /// The same; the error if nobody listens.
    pub fn try_connect(socket: &Path, database: &'static str) -> std::io::Result<Client> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_mins(2))).expect("a timeout");
        Ok(Client { stream, database, buffer: Vec::new(), next: 0 })
    }

    /// Runs operations as one transaction; what each gave.
    #[track_caller]
    pub fn transact(&mut self, operations: &[Value]) -> Vec<Value> {
        self.try_transact(operations).unwrap_or_else(|error| panic!("{}: {error}", self.database))
    }

    /// The same; the error if it was not carried out.
    pub fn try_transact(&mut self, operations: &[Value]) -> Result<Vec<Value>, String> {
        let mut params = vec![json!(self.database)];
        params.extend_from_slice(operations);
        self.next += 1;
        let request = json!({ "id": self.next, "method": "transact", "params": params });
        self.stream.write_all(request.to_string().as_bytes()).map_err(|error| error.to_string())?;
        loop {
            let message = self.receive()?;
            if message["method"] == "echo" {
                let reply = json!({ "id": message["id"], "result": message["params"], "error": null });
                self.stream.write_all(reply.to_string().as_bytes()).map_err(|error| error.to_string())?;
            } else if message["id"] == json!(self.next) {
                let results = message["result"].as_array().cloned().ok_or_else(|| message.to_string())?;
                let failed = results.iter().find(|result| !result["error"].is_null());
                return failed.map_or(Ok(results.clone()), |error| Err(error.to_string()));
            }
        }
    }

    fn receive(&mut self) -> Result<Value, String> {
        loop {
            let mut values = serde_json::Deserializer::from_slice(&self.buffer).into_iter::<Value>();
            match values.next() {
                Some(Ok(value)) => {
                    let taken = values.byte_offset();
                    self.buffer.drain(..taken);
                    return Ok(value);
                }
                Some(Err(error)) if !error.is_eof() => return Err(error.to_string()),
                _ => {}
            }
            let mut bytes = vec![0; 1 << 20];
            // A message is parsed again for each piece, so pieces are large.
            let mut got = 0;
            while got == 0 || (got < bytes.len() && bytes[got - 1] != b'}') {
                let more = self.stream.read(&mut bytes[got..]).map_err(|error| error.to_string())?;
                if more == 0 {
                    return Err("the server hung up".to_owned());
                }
                got += more;
            }
            self.buffer.extend_from_slice(&bytes[..got]);
        }
    }

    /// The rows of a table that hold `condition`, with these columns.
    #[track_caller]
    pub fn select(&mut self, table: &str, condition: &Value, columns: &[&str]) -> Vec<Value> {
        let select = json!({ "op": "select", "table": table, "where": condition, "columns": columns });
        self.transact(&[select])[0]["rows"].as_array().cloned().unwrap_or_default()
    }

    /// One column of every row of a table, sorted.
    #[track_caller]
    pub fn column(&mut self, table: &str, column: &str) -> Vec<String> {
        let rows = self.select(table, &json!([]), &[column]);
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut values: Vec<String> = rows.iter().map(|row| text(&row[column])).collect();
        values.sort();
        values
    }

    /// How many rows a table has.
    #[track_caller]
    pub fn count(&mut self, table: &str) -> usize {
        self.select(table, &json!([]), &["_uuid"]).len()
    }
}

/// A map as the protocol writes it.
pub fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    json!(["map", pairs.into_iter().map(|(key, value)| json!([key, value])).collect::<Vec<_>>()])
}

/// A set as the protocol writes it.
pub fn set(values: impl IntoIterator<Item = Value>) -> Value {
    json!(["set", values.into_iter().collect::<Vec<_>>()])
}
