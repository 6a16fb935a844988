//! A plan as one transaction.

use super::value::row_name;
use super::{Op, Plan};
use kiln_ovsdb::txn::{Function, Txn};

impl Plan {
    /// Adds the plan's operations to a transaction. If it fails as a conflict, somebody else changed the database
    /// meanwhile: plan again from what is there then.
    pub fn write(&self, txn: &mut Txn) {
        for op in &self.ops {
            write(op, txn);
        }
    }
}

fn write(op: &Op, txn: &mut Txn) {
    match op {
        Op::Absent { table, column, value } => {
            txn.wait(table.name()).filter(column, Function::Equal, value);
        }
        Op::Unchanged { table, uuid, column, value } => {
            txn.wait(table.name()).row(*uuid).expect(column, value);
        }
        Op::Insert { table, number, columns } => {
            let mut insert = txn.insert(table.name());
            insert.uuid_name(&row_name(*number));
            for (column, value) in columns {
                insert.set(column, value);
            }
        }
        Op::Update { table, uuid, columns } => {
            let mut update = txn.update(table.name());
            update.row(*uuid);
            for (column, value) in columns {
                update.set(column, value);
            }
        }
        Op::Mutate { table, uuid, column, delete, insert } => {
            let mut mutate = txn.mutate(table.name());
            mutate.row(*uuid);
            if !delete.is_empty() {
                mutate.delete(column, delete);
            }
            if !insert.is_empty() {
                mutate.put(column, insert);
            }
        }
        Op::Delete { table, uuid } => {
            txn.delete(table.name()).row(*uuid);
        }
    }
}
