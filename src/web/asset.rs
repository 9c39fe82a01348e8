use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

/// One file of the page, ready to be sent.
#[derive(Clone, Debug)]
pub struct Asset {
    /// The file's bytes, not compressed.
    pub body: Bytes,
    /// The value of `Content-Type`, charset included.
    pub content_type: &'static str,
    /// The value of `ETag`, quotes included; weak, because it names `body` and `gzip` alike (RFC 9110, 8.8.1).
    pub etag: String,
    /// The same bytes for `Content-Encoding: gzip`; `None` where that saves nothing. Send `Vary: Accept-Encoding`
    /// whenever this is `Some`.
    pub gzip: Option<Bytes>,
    /// Whether what this address answers never changes: then `Cache-Control: public, max-age=31536000, immutable`,
    /// else `no-cache` (revalidate by `etag`).
    pub immutable: bool,
}

#[derive(RustEmbed)]
#[folder = "web/"]
struct Source;

/// The mark in `index.html` that stands for the hash of all assets.
const BUILD_MARK: &str = "{build}";
const INDEX: &str = "index.html";

struct Page {
    /// Hash of all assets, part of their addresses.
    build: String,
    index: Asset,
    assets: BTreeMap<Cow<'static, str>, Asset>,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let mut index = None;
    let mut assets = BTreeMap::new();
    let mut all = Sha256::new();
    // A sorted map, so that the hash does not depend on the order of the embedding.
    let files: BTreeMap<_, _> = Source::iter()
        .filter(|path| !path.ends_with(".md") && path != "package.json")
        .filter_map(|path| Some((path.clone(), Source::get(&path)?)))
        .collect();
    for (path, file) in files {
        all.update(path.as_bytes());
        all.update(file.metadata.sha256_hash());
        let body = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        if path == INDEX {
            index = Some(body);
        } else {
            let content_type = content_type(&path);
            assets.insert(path, prepare(body, content_type, true));
        }
    }
    let build = hex::encode(&all.finalize()[..8]);
    let html = String::from_utf8(index.expect("web/index.html is embedded").to_vec())
        .expect("the page is UTF-8");
    let html = html.replace(BUILD_MARK, &build);
    Page {
        index: prepare(Bytes::from(html), content_type(INDEX), false),
        build,
        assets,
    }
});

/// The asset behind `/assets/{path}`, `path` without a leading slash: `{build}/player.js` (immutable), or `player.js`
/// alone (to be revalidated). `None` for everything else, also for another build: a missing asset is 404, never the page.
pub fn asset(path: &str) -> Option<Asset> {
    let page = &*PAGE;
    if let Some(asset) = page.assets.get(path) {
        return Some(Asset {
            immutable: false,
            ..asset.clone()
        });
    }
    let name = path.strip_prefix(page.build.as_str())?.strip_prefix('/')?;
    page.assets.get(name).cloned()
}

/// The page itself, the same for `/`, `/watch/{id}`, `/post/{id}`, `/studio` and `/login`; never immutable.
pub fn index() -> Asset {
    PAGE.index.clone()
}

fn prepare(body: Bytes, content_type: &'static str, immutable: bool) -> Asset {
    let etag = format!("W/\"{}\"", hex::encode(&Sha256::digest(&body)[..12]));
    let gzip = gzip(&body).filter(|small| small.len() < body.len());
    Asset {
        body,
        content_type,
        etag,
        gzip,
        immutable,
    }
}

fn gzip(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "webmanifest" => "application/manifest+json",
        "png" => "image/png",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Addresses that the page asks for.
    fn referenced() -> Vec<String> {
        let html = String::from_utf8(index().body.to_vec()).unwrap();
        html.split(['"', '\''])
            .filter_map(|word| word.strip_prefix("/assets/"))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn every_asset_that_the_page_names_is_there_and_immutable() {
        let names = referenced();
        assert!(names.len() >= 3, "style, entry module and icon: {names:?}");
        for name in names {
            let asset = asset(&name).unwrap_or_else(|| panic!("{name} is missing"));
            assert!(asset.immutable, "{name}");
        }
    }

    #[test]
    fn a_module_imports_only_files_that_are_embedded() {
        let mut imports = 0;
        for (path, file) in PAGE.assets.iter().filter(|(path, _)| path.ends_with(".js")) {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let source = String::from_utf8(file.body.to_vec()).unwrap();
            let words = source
                .split(['"', '\''])
                .filter(|word| word.starts_with("./") || word.starts_with("../"));
            for word in words.filter(|word| word.ends_with("js")) {
                let mut parts: Vec<&str> =
                    folder.split('/').filter(|part| !part.is_empty()).collect();
                for step in word.split('/') {
                    match step {
                        "." => {}
                        ".." => assert!(parts.pop().is_some(), "{path} imports {word}"),
                        name => parts.push(name),
                    }
                }
                assert!(
                    PAGE.assets.contains_key(parts.join("/").as_str()),
                    "{path} imports {word}"
                );
                imports += 1;
            }
        }
        assert!(imports > 0);
    }

    #[test]
    fn another_build_and_an_unknown_name_are_missing() {
        assert!(asset("0000000000000000/main.js").is_none());
        assert!(asset("nothing.js").is_none());
        assert!(asset("").is_none());
        assert!(asset("index.html").is_none());
        assert!(asset("vendor/README.md").is_none());
        assert!(asset("package.json").is_none());
    }

    #[test]
    fn a_bare_name_is_served_but_not_for_ever() {
        let bare = asset("main.js").unwrap();
        assert!(!bare.immutable);
        assert_eq!(bare.content_type, "text/javascript; charset=utf-8");
    }

    #[test]
    fn the_gzip_form_unpacks_to_the_body() {
        let style = asset("style.css").unwrap();
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&style.gzip.unwrap()[..])
            .read_to_end(&mut text)
            .unwrap();
        assert_eq!(text, style.body);
    }

    #[test]
    fn the_page_needs_no_inline_script_or_style() {
        let html = String::from_utf8(index().body.to_vec()).unwrap();
        assert!(
            !html.contains("<style") && !html.contains(" style=") && !html.contains(" onload=")
        );
        assert!(
            html.matches("<script").count() == html.matches("<script type=\"module\" src=").count()
        );
        assert!(!html.contains(BUILD_MARK));
    }
}
