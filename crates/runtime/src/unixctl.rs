//! The control socket: commands as `ovs-appctl` and `ovn-appctl` send them (JSON-RPC 1.0 over a Unix socket), the
//! commands that every daemon answers, and a client.

mod builtin;
mod client;
mod connection;
mod registry;
mod server;
mod wire;

pub(crate) use builtin::{Builtins, EXIT, answer};
pub use client::{CallError, call, control_socket};
pub use registry::{Command, Registry};
pub(crate) use server::{Call, Server};

/// A request that awaits its answer; unique within a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Text for people.
    Text(String),
    /// Text, and what a connection gets that asked for JSON: the JSON text of a value.
    TextOrJson(String, String),
    /// Why the command failed.
    Error(String),
}

impl From<Result<String, String>> for Reply {
    fn from(result: Result<String, String>) -> Self {
        match result {
            Ok(text) => Reply::Text(text),
            Err(text) => Reply::Error(text),
        }
    }
}
