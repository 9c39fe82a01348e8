//! The subcommands of `griot`, one file each.
