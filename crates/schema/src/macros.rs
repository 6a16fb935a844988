//! The declaration macro.

/// Declares a database: for each table a row struct, a view of it in module `view`, and all of them as one replica.
///
/// ```
/// use kiln_schema::decl::{map, one, set, string, strong, table};
/// use kiln_schema::ovsdb::{Map, Set, Text};
/// use kiln_types::Uuid;
///
/// kiln_schema::database! {
///     /// A house.
///     pub struct House = "House" "1.0.0";
///
///     /// A room and its doors.
///     room: Room = table("Room").root().index(&["name"]) => {
///         name: Text = one(string()),
///         doors: Set<Uuid> = set(strong("Door")),
///     }
///     /// A door.
///     door: Door = table("Door") => {
///         options: Map<Text, Text> = map(string(), string()),
///     }
/// }
///
/// fn main() {
///     let mut house = House::new();
///     house.room.put(Uuid::from_u128(1), Room { name: "hall".into(), ..Room::default() });
///     assert_eq!(House::DECL.to_json()["tables"]["Room"]["indexes"][0][0], "name");
/// }
/// ```
#[macro_export]
macro_rules! database {
    (
        $(#[$doc:meta])*
        pub struct $Db:ident = $dbname:literal $version:literal $(cksum $cksum:literal)?;
        $(
            $(#[$tdoc:meta])*
            $field:ident : $Row:ident = $attr:expr => {
                $( $col:ident : $ty:ty = $shape:expr ),* $(,)?
            }
        )*
    ) => {
        $(
            $(#[$tdoc])*
            #[derive(Clone, Debug, Default, PartialEq)]
            #[allow(missing_docs)]
            pub struct $Row { $( pub $col: $ty ),* }

            impl $Row {
                /// The table's declaration.
                pub const DECL: $crate::decl::TableDecl = $crate::decl::TableDecl {
                    attributes: $attr,
                    columns: &[$( $crate::decl::ColumnDecl {
                        name: $crate::decl::column_name(stringify!($col)),
                        shape: $shape,
                    } ),*],
                };

                /// Reads the columns of a row; those that do not appear keep their values.
                fn read(&mut self, row: &mut $crate::ovsdb::RowDecoder<'_>) -> Result<(), $crate::ovsdb::RowError> {
                    while let Some(name) = row.next_column()? {
                        match name {
                            $( name if name == const { $crate::decl::column_name(stringify!($col)) } => {
                                self.$col = row.value()?;
                            } )*
                            _ => row.skip()?,
                        }
                    }
                    Ok(())
                }

                /// Applies the columns of a row as differences, and reports those that are others then.
                fn patch(
                    &mut self,
                    row: &mut $crate::ovsdb::RowDecoder<'_>,
                    changed: &mut $crate::incr::Changed<'_>,
                ) -> Result<(), $crate::ovsdb::RowError> {
                    while let Some(name) = row.next_column()? {
                        match name {
                            $( name if name == const { $crate::decl::column_name(stringify!($col)) } => {
                                const COLUMN: u16 = $crate::column_number($Row::DECL.columns, stringify!($col));
                                $crate::Facet::patch(&mut self.$col, row.value()?, COLUMN, changed);
                            } )*
                            _ => row.skip()?,
                        }
                    }
                    Ok(())
                }
            }

            impl $crate::incr::Row for $Row {
                type Key = $crate::Uuid;
                type View<'a> = view::$Row<'a>;

                fn view(row: $crate::incr::Tracked<'_, Self>) -> view::$Row<'_> {
                    view::$Row(row)
                }

                #[allow(unused_variables, unused_mut, unused_assignments)]
                fn diff(&self, new: &Self, changed: &mut $crate::incr::Changed<'_>) {
                    let mut column = 0;
                    $(
                        $crate::Facet::diff(&self.$col, &new.$col, column, changed);
                        column += 1;
                    )*
                }
            }

            impl $crate::TypedRow for $Row {
                const TABLE: &'static str = $Row::DECL.attributes.name;

                #[allow(unused_variables, unused_mut, unused_assignments)]
                fn changed(
                    &self,
                    old: Option<&Self>,
                    columns: $crate::Columns,
                    f: &mut dyn FnMut(u16, &'static str, &dyn $crate::ovsdb::Encode),
                ) {
                    let mut column = 0;
                    $(
                        let same = match old {
                            Some(old) => self.$col == old.$col,
                            None => self.$col == <$ty>::default(),
                        };
                        if columns.has(column) && !same {
                            f(column, const { $crate::decl::column_name(stringify!($col)) }, &self.$col);
                        }
                        column += 1;
                    )*
                }

                fn columns(names: &[&str]) -> $crate::Columns {
                    let number = |name: &&str| {
                        let at = $Row::DECL.columns.iter().position(|column| column.name == *name);
                        at.unwrap_or_else(|| panic!("{} has no column {name}", Self::TABLE))
                    };
                    $crate::Columns(names.iter().map(number).fold(0, |bits, at| bits | 1 << at))
                }
            }
        )*

        /// Rows as rules see them: each read is recorded.
        pub mod view {
            #[allow(unused_imports)]
            use super::*;
            $(
                /// A row of the table of the same name.
                #[derive(Clone, Copy)]
                pub struct $Row<'a>(pub(super) $crate::incr::Tracked<'a, super::$Row>);

                impl<'a> $crate::RowView<'a, super::$Row> for $Row<'a> {
                    fn whole(&self) -> &'a super::$Row {
                        self.0.whole()
                    }
                }

                #[allow(missing_docs)]
                impl<'a> $Row<'a> {
                    $(
                        pub fn $col(&self) -> <$ty as $crate::Facet>::View<'a> {
                            const COLUMN: u16 = $crate::column_number(super::$Row::DECL.columns, stringify!($col));
                            $crate::Facet::view(self.0, COLUMN, |row| &row.$col)
                        }
                    )*
                }
            )*
        }

        $(#[$doc])*
        #[allow(missing_docs)]
        pub struct $Db {
            $( pub $field: $crate::incr::Table<$Row>, )*
            refetch: $crate::Refetch,
        }

        impl Default for $Db {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $Db {
            /// The database's name.
            pub const NAME: &'static str = $dbname;

            /// The declaration of the whole database.
            pub const DECL: $crate::decl::DatabaseDecl = $crate::decl::DatabaseDecl {
                name: $dbname,
                version: $version,
                cksum: concat!("" $(, $cksum)?),
                tables: &[$( $Row::DECL ),*],
            };

            /// An empty replica.
            pub fn new() -> Self {
                $Db {
                    $( $field: $crate::incr::Table::new(concat!($dbname, ".", stringify!($field))), )*
                    refetch: $crate::Refetch::default(),
                }
            }

            /// How many cells the rows have: the columns of each, known to the server or not.
            pub fn cells(&self) -> usize {
                0 $( + self.$field.len() * $Row::DECL.columns.len() )*
            }

            /// Shows every table to `v`.
            pub fn visit(&mut self, v: &mut dyn $crate::incr::Visitor) {
                $( v.table(&mut self.$field); )*
            }
        }

        impl $crate::ovsdb::Replica for $Db {
            #[allow(unused_assignments)]
            fn put(
                &mut self,
                table: &str,
                uuid: $crate::Uuid,
                row: &mut $crate::ovsdb::RowDecoder<'_>,
            ) -> Result<(), $crate::ovsdb::RowError> {
                let mut number = 0;
                $(
                    if table == $Row::DECL.attributes.name {
                        self.refetch.seen(number, uuid);
                        let mut new = $Row::default();
                        return match new.read(row) {
                            Ok(()) => {
                                self.$field.put(uuid, new);
                                Ok(())
                            }
                            Err(error) => {
                                self.$field.delete(&uuid);
                                Err(error)
                            }
                        };
                    }
                    number += 1;
                )*
                Ok(())
            }

            fn patch(
                &mut self,
                table: &str,
                uuid: $crate::Uuid,
                row: &mut $crate::ovsdb::RowDecoder<'_>,
            ) -> Result<(), $crate::ovsdb::RowError> {
                $(
                    if table == $Row::DECL.attributes.name {
                        return match self.$field.patch(&uuid, |old, changed| old.patch(row, changed)) {
                            None => Err(row.unknown_row()),
                            Some(Ok(())) => Ok(()),
                            Some(Err(error)) => {
                                self.$field.delete(&uuid);
                                Err(error)
                            }
                        };
                    }
                )*
                Ok(())
            }

            fn delete(&mut self, table: &str, uuid: $crate::Uuid) {
                $(
                    if table == $Row::DECL.attributes.name {
                        self.$field.delete(&uuid);
                    }
                )*
            }

            fn begin_refetch(&mut self) {
                self.refetch.begin(vec![$( self.$field.iter().map(|(uuid, _)| *uuid).collect() ),*]);
            }

            fn end_refetch(&mut self) {
                let mut unseen = self.refetch.end().into_iter();
                $(
                    for uuid in unseen.next().unwrap_or_default() {
                        self.$field.delete(&uuid);
                    }
                )*
            }
        }
    };
}
