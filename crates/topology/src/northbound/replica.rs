//! The rows that are, kept by a session with a database server.

use super::table::Shape;
use super::{Datum, Northbound, Row, Table};
use kiln_ovsdb::client::TableMonitor;
use kiln_ovsdb::{Replica, RowDecoder, RowError};
use kiln_types::Uuid;

impl Northbound {
    /// What a session has to monitor to keep this up to date.
    pub fn monitors() -> Vec<TableMonitor> {
        Table::ALL.map(|table| TableMonitor::new(table.name(), table.columns().iter().copied())).into()
    }
}

impl Replica for Northbound {
    fn put(&mut self, table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        let Some(table) = Table::named(table) else { return Ok(()) };
        self.delete(table.name(), uuid);
        let mut columns: std::collections::BTreeMap<String, Datum> = table
            .columns()
            .iter()
            .map(|column| ((*column).to_owned(), Shape::of(column).default()))
            .collect();
        while let Some(column) = row.next_column()? {
            match columns.get_mut(column) {
                Some(datum) => {
                    let value: Datum = row.value()?;
                    // A set without elements says nothing of what it might hold.
                    if !(value.is_empty() && datum.is_empty()) {
                        *datum = value;
                    }
                }
                None => row.skip()?,
            }
        }
        self.insert(table, uuid, Row { columns });
        Ok(())
    }

    fn patch(&mut self, table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        let Some(table) = Table::named(table) else { return Ok(()) };
        // Taken out, so that a row with a bad value is forgotten.
        let known = self.tables.get_mut(&table).and_then(|rows| rows.remove(&uuid));
        let Some(mut known) = known else { return Err(row.unknown_row()) };
        while let Some(column) = row.next_column()? {
            match known.columns.get_mut(column) {
                Some(datum) => patch(datum, Shape::of(column), row.value()?),
                None => row.skip()?,
            }
        }
        self.insert(table, uuid, known);
        Ok(())
    }

    fn delete(&mut self, table: &str, uuid: Uuid) {
        if let Some(table) = Table::named(table)
            && let Some(rows) = self.tables.get_mut(&table)
        {
            rows.remove(&uuid);
        }
    }

    fn begin_refetch(&mut self) {
        self.stale =
            self.tables.iter().flat_map(|(table, rows)| rows.keys().map(|uuid| (*table, *uuid))).collect();
    }

    fn end_refetch(&mut self) {
        for (table, uuid) in std::mem::take(&mut self.stale) {
            self.delete(table.name(), uuid);
        }
    }
}

/// Applies a difference (ovsdb-server(7), section 4.1.14): elements of a set change sides; a pair of a map goes if it is
/// there as it is, and else takes the place of its key's.
fn patch(datum: &mut Datum, shape: Shape, diff: Datum) {
    match (shape, datum, diff) {
        (Shape::Set, Datum::Set(set), Datum::Set(diff)) => {
            for atom in diff {
                if !set.remove(&atom) {
                    set.insert(atom);
                }
            }
        }
        (Shape::Map, Datum::Map(map), Datum::Map(diff)) => {
            for (key, value) in diff {
                if map.get(&key) == Some(&value) {
                    map.remove(&key);
                } else {
                    map.insert(key, value);
                }
            }
        }
        (_, datum, diff) => *datum = diff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_ovsdb::json::TextCache;

    fn put(northbound: &mut Northbound, id: u128, text: &str) -> Result<(), RowError> {
        let (mut texts, uuid) = (TextCache::default(), Uuid::from_u128(id));
        northbound.put("Logical_Switch", uuid, &mut RowDecoder::of("Logical_Switch", uuid, text, &mut texts))
    }

    fn change(northbound: &mut Northbound, id: u128, text: &str) -> Result<(), RowError> {
        let (mut texts, uuid) = (TextCache::default(), Uuid::from_u128(id));
        northbound.patch(
            "Logical_Switch",
            uuid,
            &mut RowDecoder::of("Logical_Switch", uuid, text, &mut texts),
        )
    }

    fn shown(northbound: &Northbound) -> Vec<String> {
        let row = |(_, row): (Uuid, &Row)| {
            let columns = row.columns.iter().map(|(column, value)| format!("{column} {value}"));
            columns.collect::<Vec<_>>().join("; ")
        };
        northbound.rows(Table::Switch).map(row).collect()
    }

    #[test]
    fn rows_come_change_and_go() {
        let mut northbound = Northbound::default();
        let port = r#"["uuid","00000000-0000-0000-0000-000000000009"]"#;
        let config = r#"["map",[["a","1"],["b","2"]]]"#;
        put(&mut northbound, 1, &format!(r#"{{"name":"s","ports":{port},"other_config":{config}}}"#))
            .unwrap();
        put(&mut northbound, 2, "{}").unwrap();
        let change_of_both =
            format!(r#"{{"ports":{port},"other_config":["map",[["a","1"],["b","3"],["c","4"]]]}}"#);
        change(&mut northbound, 1, &change_of_both).unwrap();
        assert_eq!(
            shown(&northbound),
            [
                "external_ids none; name s; other_config b=3, c=4; ports none",
                "external_ids none; name \"\"; other_config none; ports none"
            ]
        );
        assert!(change(&mut northbound, 3, "{}").is_err());

        northbound.begin_refetch();
        put(&mut northbound, 2, r#"{"name":"t"}"#).unwrap();
        northbound.end_refetch();
        assert_eq!(shown(&northbound), ["external_ids none; name t; other_config none; ports none"]);
    }
}
