//! A server whose two clients send whatever they like.

use std::time::Duration;

use kiln_types::{Instant, Rng};

use crate::engine::Database;
use crate::frame::Framer;
use crate::jsonrpc::Message;
use crate::schema::{BaseType, ColumnType, DatabaseSchema, TableSchema};
use crate::server::{Limits, Server, SessionId};

/// Every kind of column, reference and constraint.
fn schema() -> DatabaseSchema {
    use BaseType as B;
    use ColumnType as C;
    DatabaseSchema::builder("D", "1.0.0")
        .table(
            TableSchema::builder("T")
                .root()
                .column("name", C::scalar(B::string()))
                .column("n", C::scalar(B::integer_in(-10, 10)))
                .column("x", C::optional(B::real()))
                .column("tags", C::set(B::integer()))
                .column("ids", C::map(B::string(), B::string()))
                .column("us", C::set(B::strong("U")))
                .column("peer", C::optional(B::weak("T")))
                .index(["name"]),
        )
        .table(
            TableSchema::builder("U")
                .max_rows(4)
                .column("kind", C::scalar(B::string_enum(["a", "b"])))
                .column("next", C::optional(B::strong("U"))),
        )
        .build()
        .expect("the schema is valid")
}

struct Client {
    id: SessionId,
    /// What the server says is cut into messages again.
    framer: Framer,
}

impl Client {
    fn connect(server: &mut Server) -> Client {
        Client { id: server.connect(), framer: Framer::new(1 << 26) }
    }

    /// Whatever came in, what goes out is JSON-RPC.
    fn receive(&mut self, server: &mut Server) {
        while let Some(bytes) = server.poll_transmit(self.id) {
            self.framer.push(&bytes);
        }
        loop {
            match self.framer.next_frame() {
                Ok(Some(frame)) => {
                    let said = Message::parse(&frame);
                    assert!(said.is_ok(), "{said:?} in {}", frame.text);
                }
                Ok(None) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(self.framer.buffered(), 0, "messages are sent whole");
    }
}

/// A server with a small database. A byte 0xff turns to the other of two clients, 0xfe lets a second pass, 0xfd is a client's
/// connection that is lost and made again.
pub fn fuzz_server(data: &[u8]) {
    let limits =
        Limits { message_bytes: 1 << 16, backlog_bytes: 1 << 16, waiting_transactions: 4, monitors: 4 };
    let mut now = Instant::from_secs(1);
    let mut server = Server::new(Rng::with_seed(1), limits);
    let added = server.add_database(now, Database::new(schema(), Rng::with_seed(2)));
    assert!(added.is_ok());
    let mut clients = [Client::connect(&mut server), Client::connect(&mut server)];
    let mut at = 0;
    for part in data.split_inclusive(|&byte| byte >= 0xfd) {
        let (bytes, end) = match part.split_last() {
            Some((&end @ 0xfd.., bytes)) => (bytes, end),
            _ => (part, 0),
        };
        server.handle_bytes(now, clients[at].id, bytes);
        match end {
            0xff => at = 1 - at,
            0xfe => {
                now = now + Duration::from_secs(1);
                server.handle_timeout(now);
            }
            0xfd => {
                server.disconnect(clients[at].id);
                clients[at] = Client::connect(&mut server);
            }
            _ => {}
        }
        while server.poll_ready().is_some() {}
        for client in &mut clients {
            client.receive(&mut server);
        }
    }
    assert!(server.poll_timeout().is_none_or(|due| due > now), "what is due was done");
}
