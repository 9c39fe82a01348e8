//! Posts as far as a live needs one.

mod view;

pub use view::{Author, LiveView, PostView, live, lives, view};
