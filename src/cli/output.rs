//! The only writer to stdout: what other programs read.

use serde::Serialize;

/// One line of JSON.
///
/// # Errors
/// `value` has no JSON form: our fault.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?);
    Ok(())
}

/// One line.
#[expect(clippy::print_stdout, reason = "what other programs read")]
pub(super) fn line(text: &str) {
    println!("{text}");
}
