//! The `Database` table of the `_Server` database, which says whether a server is the one to talk to (ovsdb-server(5)).

use kiln_types::{HashMap, Uuid};

use super::event::CloseReason;
use crate::column::Text;
use crate::row::{Replica, RowDecoder, RowError};

/// How a server stores a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Model {
    /// On its own.
    #[default]
    Standalone,
    /// As a member of a Raft cluster.
    Clustered,
    /// In memory, as a copy of another server's.
    Relay,
    /// Something newer than this code.
    Other(Text),
}

impl Model {
    /// The model's name in the column `model`.
    pub fn as_str(&self) -> &str {
        match self {
            Model::Standalone => "standalone",
            Model::Clustered => "clustered",
            Model::Relay => "relay",
            Model::Other(name) => name,
        }
    }
}

/// A row of `Database`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// The database's name.
    pub name: Text,
    /// How it is stored.
    pub model: Model,
    /// Connected to its cluster, or its source.
    pub connected: bool,
    /// The cluster's leader.
    pub leader: bool,
    /// The cluster's id.
    pub cid: Option<Uuid>,
    /// Index of the newest log entry; grows along the cluster's history.
    pub index: Option<i64>,
}

impl DatabaseInfo {
    /// Whether a session may use this server. `seen` is the highest index that any server showed, and is updated.
    pub(super) fn check(&self, leader_only: bool, seen: &mut i64) -> Result<(), CloseReason> {
        if self.model != Model::Clustered {
            return Ok(());
        }
        let index = self.index.unwrap_or(0);
        if !self.connected {
            Err(CloseReason::NotInCluster)
        } else if leader_only && !self.leader {
            Err(CloseReason::NotLeader)
        } else if index < *seen {
            Err(CloseReason::Stale { index, seen: *seen })
        } else {
            *seen = index;
            Ok(())
        }
    }

    /// Takes in columns; `model`, `connected` and the rest are single or optional values, so that a difference is the new
    /// value and initial and later updates read alike.
    fn read(&mut self, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        while let Some(column) = row.next_column()? {
            match column {
                "name" => self.name = row.value()?,
                "model" => {
                    let model: Text = row.value()?;
                    self.model = match &*model {
                        "standalone" => Model::Standalone,
                        "clustered" => Model::Clustered,
                        "relay" => Model::Relay,
                        _ => Model::Other(model),
                    };
                }
                "connected" => self.connected = row.value()?,
                "leader" => self.leader = row.value()?,
                "cid" => self.cid = row.value()?,
                "index" => self.index = row.value()?,
                _ => row.skip()?,
            }
        }
        Ok(())
    }
}

/// The server's databases.
#[derive(Debug, Default)]
pub(super) struct ServerDb {
    rows: HashMap<Uuid, DatabaseInfo>,
}

impl ServerDb {
    pub(super) const DB: &'static str = "_Server";
    pub(super) const TABLE: &'static str = "Database";
    pub(super) const MONITOR: &'static str =
        r#"{"Database":[{"columns":["name","model","connected","leader","cid","index"]}]}"#;

    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    pub(super) fn find(&self, db: &str, cluster_id: Option<Uuid>) -> Option<&DatabaseInfo> {
        self.rows.values().find(|row| match cluster_id {
            Some(cid) => row.cid == Some(cid),
            None => *row.name == *db,
        })
    }
}

impl Replica for ServerDb {
    fn put(&mut self, _table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        let mut info = DatabaseInfo::default();
        self.rows.remove(&uuid);
        info.read(row)?;
        self.rows.insert(uuid, info);
        Ok(())
    }

    fn patch(&mut self, _table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        let Some(mut info) = self.rows.remove(&uuid) else { return Err(row.unknown_row()) };
        info.read(row)?;
        self.rows.insert(uuid, info);
        Ok(())
    }

    fn delete(&mut self, _table: &str, uuid: Uuid) {
        self.rows.remove(&uuid);
    }

    fn begin_refetch(&mut self) {
        self.rows.clear();
    }

    fn end_refetch(&mut self) {}
}
