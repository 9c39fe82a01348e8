//! The only sqlx: two native pools behind one enum, one file per table family, rows as plain structs.
