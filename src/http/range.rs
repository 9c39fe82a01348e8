//! Byte ranges and conditions of a request (RFC 9110 §13 and §14).

use axum::http::HeaderMap;
use axum::http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use time::OffsetDateTime;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::base::Timestamp;

/// Which bytes of something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// All: 200.
    Whole,
    /// `length` bytes from `offset`, at least one, inside the whole: 206.
    Part {
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// The range begins behind the end: 416.
    Unsatisfiable,
}

/// What the `Range` header selects of `total` bytes. Several ranges, other units and nonsense are ignored,
/// as RFC 9110 §14.2 allows.
pub(super) fn select(range: Option<&str>, total: u64) -> Selection {
    let Some((first, last)) = range
        .and_then(|range| range.trim().strip_prefix("bytes="))
        .and_then(|spec| spec.trim().split_once('-'))
    else {
        return Selection::Whole;
    };
    let (first, last) = (number(first), number(last));
    match (first, last) {
        (Some(Some(first)), Some(last)) => {
            if last.is_some_and(|last| last < first) {
                return Selection::Whole;
            }
            if first >= total {
                return Selection::Unsatisfiable;
            }
            let end = last.map_or(total, |last| last.saturating_add(1).min(total));
            Selection::Part {
                offset: first,
                length: end - first,
            }
        }
        // The last `n` bytes.
        (Some(None), Some(Some(suffix))) => {
            let length = suffix.min(total);
            if length == 0 {
                return Selection::Unsatisfiable;
            }
            Selection::Part {
                offset: total - length,
                length,
            }
        }
        _ => Selection::Whole,
    }
}

/// `Some(None)` for nothing, `None` for what is no number. More digits than fit count as the largest.
fn number(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    text.bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

/// How a request's conditions meet the present version of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The client has it: 304.
    NotModified,
    /// Send it, or the range of it that is asked for.
    Range,
    /// Send all of it: the range was meant for another version.
    Whole,
}

/// Evaluates `If-None-Match`, `If-Modified-Since` and `If-Range` in the order of RFC 9110 §13.2.2.
/// `etag` is strong, quotes included.
pub(super) fn condition(headers: &HeaderMap, etag: &str, modified: Timestamp) -> Condition {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &axum::http::HeaderValue| value.to_str().ok())
    };
    if let Some(tags) = text(IF_NONE_MATCH) {
        // Weak comparison (§13.1.2).
        let known = tags
            .split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag);
        if known {
            return Condition::NotModified;
        }
    } else if let Some(since) = text(IF_MODIFIED_SINCE).and_then(parse_date)
        && modified.unix_seconds() <= since
    {
        return Condition::NotModified;
    }
    match text(IF_RANGE) {
        None => Condition::Range,
        Some(tag) if tag.trim() == etag => Condition::Range,
        // A date says enough only when it is exactly ours (§13.1.5).
        Some(date) if parse_date(date) == Some(modified.unix_seconds()) => Condition::Range,
        Some(_) => Condition::Whole,
    }
}

/// The `Range` header as text.
pub(super) fn range_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(RANGE).and_then(|value| value.to_str().ok())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// A moment as `Last-Modified` carries it.
pub(super) fn http_date(moment: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(moment.unix_seconds())
        .ok()
        .and_then(|moment| moment.format(HTTP_DATE).ok())
        .unwrap_or_else(|| "Thu, 01 Jan 1970 00:00:00 GMT".to_owned())
}

/// Seconds since 1970; `None` for the two obsolete forms of date, which nobody sends.
fn parse_date(text: &str) -> Option<i64> {
    PrimitiveDateTime::parse(text.trim(), HTTP_DATE)
        .ok()
        .map(|moment| moment.assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn part(offset: u64, length: u64) -> Selection {
        Selection::Part { offset, length }
    }

    // The examples of RFC 9110 §14.1.2: a representation of 10,000 bytes.
    #[test]
    fn the_ranges_of_the_rfc() {
        for (header, expected) in [
            ("bytes=0-499", part(0, 500)),
            ("bytes=500-999", part(500, 500)),
            ("bytes=-500", part(9_500, 500)),
            ("bytes=9500-", part(9_500, 500)),
            ("bytes=0-", part(0, 10_000)),
            ("bytes=9999-20000", part(9_999, 1)),
            ("bytes=-20000", part(0, 10_000)),
            ("bytes=10000-", Selection::Unsatisfiable),
            ("bytes=99999999999999999999999-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=0-0,-1", Selection::Whole),
            ("bytes=5-4", Selection::Whole),
            ("bytes=-", Selection::Whole),
            ("bytes=a-b", Selection::Whole),
            ("bytes=+1-2", Selection::Whole),
            ("lines=1-2", Selection::Whole),
        ] {
            assert_eq!(select(Some(header), 10_000), expected, "{header}");
        }
        assert_eq!(select(None, 10_000), Selection::Whole);
        assert_eq!(select(Some("bytes=0-"), 0), Selection::Unsatisfiable);
    }

    // The moment of the RFC's own example: `date -u -d 'Sun, 06 Nov 1994 08:49:37 GMT' +%s`.
    const MODIFIED: Timestamp = Timestamp(784_111_777_500_000);
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn judged(pairs: &[(&'static str, &'static str)]) -> Condition {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        condition(&headers, "\"v1\"", MODIFIED)
    }

    #[test]
    fn conditions_are_weighed_in_the_rfcs_order() {
        assert_eq!(http_date(MODIFIED), DATE);
        assert_eq!(judged(&[]), Condition::Range);
        let not_modified = Condition::NotModified;
        assert_eq!(
            judged(&[("if-none-match", "\"v0\", W/\"v1\"")]),
            not_modified
        );
        assert_eq!(judged(&[("if-none-match", "*")]), not_modified);
        assert_eq!(judged(&[("if-modified-since", DATE)]), not_modified);
        assert_eq!(
            judged(&[("if-none-match", "\"v0\""), ("if-modified-since", DATE)]),
            Condition::Range,
            "a tag outweighs a date"
        );
        assert_eq!(judged(&[("if-range", "\"v1\"")]), Condition::Range);
        assert_eq!(judged(&[("if-range", DATE)]), Condition::Range);
        assert_eq!(judged(&[("if-range", "\"v0\"")]), Condition::Whole);
        assert_eq!(judged(&[("if-range", "W/\"v1\"")]), Condition::Whole);
    }
}
