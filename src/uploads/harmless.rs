//! Names that clients give to files, made harmless. They are shown to people and never used as a path.

/// Letters of a name that are kept.
const MOST: usize = 150;

/// The last piece of a path, without what is invisible or means something to a file system or a page.
#[must_use]
pub fn harmless_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last
        .chars()
        .filter(|letter| !letter.is_control() && !is_invisible(*letter))
        .map(|letter| match letter {
            '<' | '>' | ':' | '"' | '|' | '?' | '*' | '&' | '\'' | '`' => '_',
            letter => letter,
        })
        .take(MOST)
        .collect();
    name.trim().trim_start_matches('.').to_owned()
}

/// Marks that turn the direction of writing, or take no room: `exe.gpj` shown as `jpg.exe`.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_paths_and_their_tricks() {
        for (given, kept) in [
            ("été à Conakry.jpg", "été à Conakry.jpg"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\x\\photo.jpg", "photo.jpg"),
            ("..", ""),
            (".hidden", "hidden"),
            ("a\0b\r\nc", "abc"),
            ("<img onerror=1>.png", "_img onerror=1_.png"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("", ""),
            ("/", ""),
        ] {
            assert_eq!(harmless_name(given), kept, "{given:?}");
        }
        assert_eq!(harmless_name(&"é".repeat(10_000)).chars().count(), MOST);
    }
}
