//! `griot`: see `griot --help`.

fn main() {}
