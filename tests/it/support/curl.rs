//! curl, for what our own HTTP client does not speak: TLS and HTTP/2.

use std::path::Path;

use super::tool;

/// An answer as curl shows it.
pub(crate) struct Curled {
    /// Status line and headers, in lower case.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Curled {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Fetches `url`; takes only a certificate that `ca_file` has signed.
pub(crate) fn curl(ca_file: &Path, options: &[&str], url: &str) -> Curled {
    let ca = ca_file.display().to_string();
    let mut arguments = vec!["-sS", "--max-time", "30", "-i", "--cacert", &ca];
    arguments.extend_from_slice(options);
    arguments.push(url);
    let mut said = tool("curl", &arguments, None);
    let end = said
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head in {}", String::from_utf8_lossy(&said)));
    let body = said.split_off(end + 4);
    Curled {
        head: String::from_utf8_lossy(&said).to_lowercase(),
        body,
    }
}
