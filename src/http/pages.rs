//! The envelope of lists (contract §1.0).

use axum::http::Uri;
use serde::Serialize;
use serde_json::{Value, json};

use super::error::Problem;
use super::words;
use axum::http::StatusCode;

/// Entries of a page unless `page_size` says otherwise.
const DEFAULT_SIZE: u32 = 20;
/// The most that `page_size` can ask for.
const LARGEST: u32 = 100;

/// Which page of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// 1-based.
    pub(super) number: u32,
    /// 1..=100.
    pub(super) size: u32,
}

impl Page {
    /// Reads `page` and `page_size` of the query. A size that makes no sense counts as the default, as in
    /// the earlier system; a page that makes no sense is a 404.
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let mut page = Self {
            number: 1,
            size: DEFAULT_SIZE,
        };
        for (name, value) in pairs(uri) {
            match name.as_str() {
                "page" => {
                    page.number = value
                        .parse()
                        .ok()
                        .filter(|number| *number >= 1)
                        .ok_or_else(no_such_page)?;
                }
                "page_size" => {
                    page.size = value
                        .parse()
                        .ok()
                        .filter(|size| *size >= 1)
                        .unwrap_or(DEFAULT_SIZE)
                        .min(LARGEST);
                }
                _ => {}
            }
        }
        Ok(page)
    }

    /// The envelope around one page of `count` entries. `base` is scheme and host, `uri` the request's; the
    /// addresses of the neighbours keep its other parameters. A page beyond the last is a 404.
    pub(super) fn envelope<T: Serialize>(
        self,
        base: &str,
        uri: &Uri,
        count: u64,
        results: &[T],
    ) -> Result<Value, Problem> {
        let pages = count.div_ceil(u64::from(self.size)).max(1);
        let number = u64::from(self.number);
        if number > pages {
            return Err(no_such_page());
        }
        let next = (number < pages).then(|| address(base, uri, number + 1));
        let previous = (number > 1).then(|| address(base, uri, number - 1));
        Ok(json!({"count": count, "next": next, "previous": previous, "results": results}))
    }

    /// The envelope around this page of a list that is at hand as a whole.
    pub(super) fn cut<T: Serialize>(
        self,
        base: &str,
        uri: &Uri,
        all: &[T],
    ) -> Result<Value, Problem> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let skip = usize::try_from(self.number - 1)
            .unwrap_or(usize::MAX)
            .saturating_mul(size)
            .min(all.len());
        let shown = &all[skip..all.len().min(skip.saturating_add(size))];
        let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
        self.envelope(base, uri, count, shown)
    }
}

fn no_such_page() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, words::NO_SUCH_PAGE)
}

/// The decoded parameters of a query, in their order; none when it cannot be decoded.
pub(super) fn pairs(uri: &Uri) -> Vec<(String, String)> {
    serde_urlencoded::from_str(uri.query().unwrap_or("")).unwrap_or_default()
}

/// The address of another page; the first one is named by leaving `page` out.
fn address(base: &str, uri: &Uri, number: u64) -> String {
    let mut query: Vec<(String, String)> = pairs(uri);
    query.retain(|(name, _)| name != "page");
    if number > 1 {
        query.push(("page".to_owned(), number.to_string()));
    }
    // Inside the router the path has no slash at its end; to clients it has (contract §1.0).
    let path = uri.path().trim_end_matches('/');
    match serde_urlencoded::to_string(&query) {
        Ok(query) if !query.is_empty() => format!("{base}{path}/?{query}"),
        _ => format!("{base}{path}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://griot.example";

    #[test]
    fn neighbours_have_absolute_addresses_and_keep_the_filter() {
        let uri = Uri::from_static("/api/posts/live?status=ended&page=2&page_size=10");
        let page = Page::of(&uri).unwrap();
        assert_eq!(
            page.envelope(BASE, &uri, 21, &[1, 2]).unwrap(),
            json!({
                "count": 21,
                "next": "https://griot.example/api/posts/live/?status=ended&page_size=10&page=3",
                "previous": "https://griot.example/api/posts/live/?status=ended&page_size=10",
                "results": [1, 2],
            })
        );
    }

    #[test]
    fn an_empty_list_has_a_first_page_and_no_second() {
        let none: [u8; 0] = [];
        let first = Uri::from_static("/api/geography/regions");
        assert_eq!(
            Page::of(&first).unwrap().cut(BASE, &first, &none).unwrap(),
            json!({"count": 0, "next": null, "previous": null, "results": []})
        );
        let second = Uri::from_static("/api/geography/regions?page=2");
        assert!(
            Page::of(&second)
                .unwrap()
                .cut(BASE, &second, &none)
                .is_err()
        );
    }

    #[test]
    fn a_list_at_hand_is_cut_into_pages_of_twenty() {
        let all: Vec<u32> = (0..41).collect();
        let uri = Uri::from_static("/x?page=3");
        let page = Page::of(&uri).unwrap().cut(BASE, &uri, &all).unwrap();
        assert_eq!(page["results"], json!([40]));
        assert_eq!(page["next"], Value::Null);
        assert_eq!(page["previous"], "https://griot.example/x/?page=2");
    }

    #[test]
    fn sizes_are_bounded_and_bad_pages_are_not_found() {
        let size = |query: &str| {
            let uri: Uri = format!("/x?{query}").parse().unwrap();
            Page::of(&uri).map(|page| page.size)
        };
        assert_eq!(size("page_size=1000").unwrap(), 100);
        assert_eq!(size("page_size=0").unwrap(), 20);
        assert_eq!(size("page_size=many").unwrap(), 20);
        for bad in ["page=0", "page=-1", "page=last", "page=4294967296"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
