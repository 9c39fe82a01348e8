//! How many answers of which kind: counters for `/metrics`.

use axum::http::StatusCode;
use metrics::Counter;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    Media,
    Recording,
    Api,
    Page,
}

const AREAS: [(Area, &str); 4] = [
    (Area::Media, "media"),
    (Area::Recording, "recording"),
    (Area::Api, "api"),
    (Area::Page, "page"),
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// One counter for each area and class of status, looked up once: a look-up costs more than a playlist may.
/// The recorder must be installed before.
pub(super) struct Counts([[Counter; CLASSES.len()]; AREAS.len()]);

impl Counts {
    pub(super) fn new() -> Self {
        metrics::describe_counter!(
            "griot_http_answers_total",
            "HTTP answers by area (media, recording, api, page) and class of status"
        );
        Self(AREAS.map(|(_, area)| {
            CLASSES.map(
                |class| metrics::counter!("griot_http_answers_total", "area" => area, "class" => class),
            )
        }))
    }

    /// Counts one answer.
    pub(super) fn one(&self, area: Area, status: StatusCode) {
        let row = AREAS.iter().position(|(known, _)| *known == area);
        let column = usize::from(status.as_u16() / 100).checked_sub(1);
        if let (Some(row), Some(column)) = (row, column)
            && let Some(counter) = self.0.get(row).and_then(|row| row.get(column))
        {
            counter.increment(1);
        }
    }
}
