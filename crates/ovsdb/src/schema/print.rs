//! Schemas as text: what `ovsdb-tool create` reads and `get_schema` answers.

use std::fmt;

use super::{
    BaseType, ColumnSchema, ColumnType, Constraint, DatabaseSchema, IMPLICIT_COLUMNS, RefKind, TableSchema,
};
use crate::json::write_string;

/// The schema on one line, or with `{:#}` on one line a column, indented.
impl fmt::Display for DatabaseSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pretty = f.alternate();
        let mut out = Printer { out: String::new(), pretty, depth: 0, first: true };
        out.object(|out| {
            out.member("name", |out| write_string(out, &self.name));
            if !self.version.is_empty() {
                out.member("version", |out| write_string(out, &self.version));
            }
            if let Some(cksum) = &self.cksum {
                out.member("cksum", |out| write_string(out, cksum));
            }
            out.nested("tables", |out| {
                for table in &self.tables {
                    out.nested(&table.name, |out| print_table(out, table));
                }
            });
        });
        if pretty {
            out.out.push('\n');
        }
        f.write_str(&out.out)
    }
}

struct Printer {
    out: String,
    pretty: bool,
    depth: usize,
    first: bool,
}

impl Printer {
    fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.out.push('{');
        self.first = true;
        self.depth += 1;
        members(self);
        self.depth -= 1;
        if !self.first {
            self.line();
        }
        self.out.push('}');
        self.first = false;
    }

    fn name(&mut self, name: &str) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        self.line();
        write_string(&mut self.out, name);
        self.out.push_str(if self.pretty { ": " } else { ":" });
    }

    fn line(&mut self) {
        if self.pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("    ", self.depth));
        }
    }

    fn member(&mut self, name: &str, value: impl FnOnce(&mut String)) {
        self.name(name);
        value(&mut self.out);
    }

    fn nested(&mut self, name: &str, members: impl FnOnce(&mut Self)) {
        self.name(name);
        self.object(members);
    }
}

fn print_table(out: &mut Printer, table: &TableSchema) {
    out.nested("columns", |out| {
        for column in &table.columns[IMPLICIT_COLUMNS..] {
            out.member(&column.name, |out| print_column(out, column));
        }
    });
    if !table.indexes.is_empty() {
        out.member("indexes", |out| {
            let indexes = table
                .indexes
                .iter()
                .map(|index| list(index.iter().map(|&at| quoted(&table.columns[at].name))));
            out.push_str(&list(indexes));
        });
    }
    if table.max_rows != u32::MAX {
        out.member("maxRows", |out| out.push_str(&table.max_rows.to_string()));
    }
    if table.declared_root {
        out.member("isRoot", |out| out.push_str("true"));
    }
}

fn print_column(out: &mut String, column: &ColumnSchema) {
    out.push_str("{\"type\":");
    print_type(out, &column.ty);
    if column.ephemeral {
        out.push_str(",\"ephemeral\":true");
    }
    if !column.mutable {
        out.push_str(",\"mutable\":false");
    }
    out.push('}');
}

fn print_type(out: &mut String, ty: &ColumnType) {
    if ty.is_scalar() && *ty.key().constraint() == Constraint::None {
        return write_string(out, ty.key().kind().name());
    }
    out.push_str("{\"key\":");
    print_base(out, ty.key());
    if let Some(value) = ty.value() {
        out.push_str(",\"value\":");
        print_base(out, value);
    }
    if ty.min() != 1 {
        out.push_str(&format!(",\"min\":{}", ty.min()));
    }
    match ty.max() {
        1 => {}
        u32::MAX => out.push_str(",\"max\":\"unlimited\""),
        max => out.push_str(&format!(",\"max\":{max}")),
    }
    out.push('}');
}

fn print_base(out: &mut String, base: &BaseType) {
    let kind = base.kind().name();
    let rest = match base.constraint() {
        Constraint::None => return write_string(out, kind),
        Constraint::Enum(allowed) => format!(",\"enum\":{allowed}"),
        Constraint::Integer { min, max } => {
            bound("minInteger", *min, i64::MIN) + &bound("maxInteger", *max, i64::MAX)
        }
        Constraint::Real { min, max } => bound("minReal", *min, f64::MIN) + &bound("maxReal", *max, f64::MAX),
        Constraint::Length { min, max } => bound("minLength", *min, 0) + &bound("maxLength", *max, u32::MAX),
        Constraint::Reference(reference) => {
            let weak = if reference.kind == RefKind::Weak { ",\"refType\":\"weak\"" } else { "" };
            format!(",\"refTable\":{}{weak}", quoted(&reference.table))
        }
    };
    out.push_str(&format!("{{\"type\":\"{kind}\"{rest}}}"));
}

fn bound<T: fmt::Debug + PartialEq>(name: &str, value: T, absent: T) -> String {
    if value == absent { String::new() } else { format!(",\"{name}\":{value:?}") }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(&mut out, text);
    out
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}
