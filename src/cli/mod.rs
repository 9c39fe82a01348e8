//! The subcommands of `griot`, one file each.
//!
//! `run` reads the arguments and picks one. What other programs read goes to stdout (one line of JSON,
//! or the line that says the server is ready), everything else to stderr. Exit codes: 0 done, 1 it cannot
//! be done (the last line on stderr says why and what to change), 2 the arguments are wrong.

mod check;
mod demo;
mod demo_live;
mod doctor;
mod jobs;
mod mend;
mod migrate;
mod originals;
mod output;
mod pipeline;
mod publish_clip;
mod run;
mod serve;
mod user;
mod worker;

pub use run::run;
