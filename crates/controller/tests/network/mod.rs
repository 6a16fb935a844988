//! A recorded network, as both databases hold it.

use kiln_controller::{Compiler, Facts};
use kiln_ovsdb::json::TextCache;
use kiln_ovsdb::{Replica, RowDecoder};
use kiln_types::Uuid;
use serde_json::Value;

/// Puts one row.
pub(crate) fn put(replica: &mut dyn Replica, table: &str, uuid: Uuid, row: &Value) {
    let text = row.to_string();
    replica.put(table, uuid, &mut RowDecoder::of(table, uuid, &text, &mut TextCache::default())).unwrap();
}

/// Puts every row of a database.
pub(crate) fn feed(replica: &mut dyn Replica, tables: &Value) {
    for (table, rows) in tables.as_object().unwrap() {
        for (uuid, row) in rows.as_object().unwrap() {
            put(replica, table, uuid.parse().unwrap(), row);
        }
    }
}

/// A compiler that has seen both databases whole.
pub(crate) fn compiled(databases: &Value) -> Compiler {
    let mut compiler = Compiler::new();
    compile(&mut compiler, databases);
    compiler
}

/// Shows both databases whole to a compiler that has seen nothing.
pub(crate) fn compile(compiler: &mut Compiler, databases: &Value) {
    feed(compiler.southbound_replica(), &databases["OVN_Southbound"]);
    feed(compiler.local_replica(), &databases["Open_vSwitch"]);
    compiler.set_facts(Facts {
        geneve_option: Some(0),
        groups: true,
        meters: true,
        ct_label_flush: true,
        ct_zone_limits: true,
        four_prefixes: true,
        ..Facts::default()
    });
    compiler.settle();
    compiler.complete();
    compiler.settle();
}
