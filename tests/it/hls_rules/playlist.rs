//! A strict reader of media playlists: what RFC 8216bis section 4 does not allow does not parse.

use std::collections::{BTreeMap, BTreeSet};

use griot::base::Timestamp;

/// Nanoseconds: decimal seconds of up to nine digits, exactly.
pub(crate) type Nanos = u64;

/// One EXT-X-PART line (4.4.4.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) line: String,
    pub(crate) duration: Nanos,
    pub(crate) uri: String,
    pub(crate) independent: bool,
}

/// One media segment, or the parts and tags at the edge that will become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    /// All its lines but those of parts, in order, the URI last.
    pub(crate) lines: Vec<String>,
    pub(crate) parts: Vec<Part>,
    pub(crate) duration: Option<Nanos>,
    pub(crate) uri: Option<String>,
    pub(crate) map: Option<String>,
    pub(crate) date: Option<Timestamp>,
    pub(crate) discontinuity: bool,
    pub(crate) gap: bool,
}

/// A playlist that obeys the grammar.
#[derive(Clone, Debug)]
pub(crate) struct Playlist {
    /// The media playlist tags, in order, EXTM3U first.
    pub(crate) header: Vec<String>,
    pub(crate) version: u64,
    pub(crate) target_duration: u64,
    pub(crate) kind: Option<String>,
    pub(crate) control: BTreeMap<String, String>,
    pub(crate) part_target: Option<Nanos>,
    pub(crate) media_sequence: u64,
    pub(crate) discontinuity_sequence: Option<u64>,
    pub(crate) skipped: u64,
    pub(crate) segments: Vec<Segment>,
    pub(crate) edge: Segment,
    pub(crate) hints: Vec<BTreeMap<String, String>>,
    pub(crate) reports: Vec<BTreeMap<String, String>>,
    pub(crate) ended: bool,
}

impl Playlist {
    /// Number of the segment that follows the last whole one.
    pub(crate) fn next_msn(&self) -> u64 {
        self.media_sequence + self.skipped + self.segments.len() as u64
    }

    /// The number of `segments[index]`.
    pub(crate) fn msn(&self, index: usize) -> u64 {
        self.media_sequence + self.skipped + index as u64
    }

    /// From the first listed segment to the end of the last part.
    pub(crate) fn duration(&self) -> Nanos {
        self.segments
            .iter()
            .filter_map(|segment| segment.duration)
            .chain(self.edge.parts.iter().map(|part| part.duration))
            .sum()
    }

    /// Every part line, oldest first.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.segments
            .iter()
            .chain([&self.edge])
            .flat_map(|segment| &segment.parts)
    }

    pub(crate) fn control_seconds(&self, name: &str) -> Option<Nanos> {
        self.control.get(name).map(|value| {
            decimal(value).unwrap_or_else(|| panic!("{name}={value} is not a decimal (4.2)"))
        })
    }
}

/// Reads a playlist; `Err` names the clause that it breaks.
pub(crate) fn parse(bytes: &[u8]) -> Result<Playlist, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "4.1: not UTF-8")?;
    if let Some(odd) = text.chars().find(|c| c.is_control() && *c != '\n') {
        return Err(format!("4.1: control character {odd:?}"));
    }
    if text.starts_with('\u{feff}') || !text.ends_with('\n') {
        return Err("4.1: byte order mark, or a last line without end".to_owned());
    }
    let mut reader = Reader::new();
    for (number, line) in text.lines().enumerate() {
        reader
            .line(number, line)
            .map_err(|fault| format!("{fault}: line {}: {line}", number + 1))?;
    }
    reader.finish()
}

/// A decimal-integer or decimal-floating-point (4.2), in nanoseconds.
pub(crate) fn decimal(text: &str) -> Option<Nanos> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(rest) || rest.len() > 9 {
        return None;
    }
    let rest: u64 = format!("{rest:0<9}").parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 1_000_000_000 + rest)
}

struct Reader {
    header: Vec<String>,
    seen: BTreeSet<String>,
    values: BTreeMap<String, String>,
    skipped: Option<u64>,
    segments: Vec<Segment>,
    open: Segment,
    hints: Vec<BTreeMap<String, String>>,
    reports: Vec<BTreeMap<String, String>>,
}

impl Reader {
    fn new() -> Self {
        Self {
            header: Vec::new(),
            seen: BTreeSet::new(),
            values: BTreeMap::new(),
            skipped: None,
            segments: Vec::new(),
            open: Segment::default(),
            hints: Vec::new(),
            reports: Vec::new(),
        }
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if (number == 0) != (line == "#EXTM3U") {
            return Err("4.4.1.1: EXTM3U is the first line and no other".to_owned());
        }
        if line.is_empty() || line.trim() != line {
            return Err("4.1: an empty line, or white space around one".to_owned());
        }
        if !self.hints.is_empty() || !self.reports.is_empty() {
            let tail = ["#EXT-X-PRELOAD-HINT:", "#EXT-X-RENDITION-REPORT:"];
            if !tail.iter().any(|tag| line.starts_with(tag)) {
                return Err("house rule: hints and reports are the last lines".to_owned());
            }
        }
        let Some(tag) = line.strip_prefix('#') else {
            return self.uri(line);
        };
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "EXTM3U"
            | "EXT-X-VERSION"
            | "EXT-X-TARGETDURATION"
            | "EXT-X-PLAYLIST-TYPE"
            | "EXT-X-SERVER-CONTROL"
            | "EXT-X-PART-INF"
            | "EXT-X-MEDIA-SEQUENCE"
            | "EXT-X-DISCONTINUITY-SEQUENCE" => self.header_tag(name, value, line),
            "EXT-X-SKIP" => {
                let attributes = attributes(value)?;
                let count = integer(&attributes, "SKIPPED-SEGMENTS")?;
                if count == 0 || !self.segments.is_empty() || self.skipped.replace(count).is_some()
                {
                    return Err("4.4.5.2: one, before the segments, of at least one".to_owned());
                }
                Ok(())
            }
            "EXT-X-ENDLIST" => {
                self.once(name)?;
                Ok(())
            }
            "EXT-X-PRELOAD-HINT" => {
                self.hints.push(attributes(value)?);
                Ok(())
            }
            "EXT-X-RENDITION-REPORT" => {
                self.reports.push(attributes(value)?);
                Ok(())
            }
            _ => self.segment_tag(name, value, line),
        }
    }

    fn once(&mut self, name: &str) -> Result<(), String> {
        if self.seen.insert(name.to_owned()) {
            Ok(())
        } else {
            Err(format!("4.4.3: more than one {name}"))
        }
    }

    fn header_tag(&mut self, name: &str, value: &str, line: &str) -> Result<(), String> {
        self.once(name)?;
        if !self.segments.is_empty() || !self.open.lines.is_empty() || self.skipped.is_some() {
            // Demanded of the two sequences (4.4.3.2, 4.4.3.3), kept by all.
            return Err("4.4.3.2: behind the first segment".to_owned());
        }
        self.header.push(line.to_owned());
        self.values.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn segment_tag(&mut self, name: &str, value: &str, line: &str) -> Result<(), String> {
        let open = &mut self.open;
        match name {
            "EXT-X-DISCONTINUITY" => open.discontinuity = true,
            "EXT-X-GAP" => open.gap = true,
            "EXT-X-MAP" => {
                let attributes = attributes(value)?;
                open.map = Some(quoted(&attributes, "URI")?);
            }
            "EXT-X-PROGRAM-DATE-TIME" => {
                let date = Timestamp::parse(value)
                    .filter(|_| value.len() == "2010-02-19T14:54:23.031Z".len())
                    .ok_or("4.4.4.6: a date and time with zone and milliseconds")?;
                open.date = Some(date);
            }
            "EXT-X-PART" => {
                let attributes = attributes(value)?;
                let duration = attributes
                    .get("DURATION")
                    .and_then(|value| decimal(value))
                    .ok_or("4.4.4.9: DURATION is required")?;
                let independent = match attributes.get("INDEPENDENT").map(String::as_str) {
                    None => false,
                    Some("YES") => true,
                    Some(_) => return Err("4.4.4.9: INDEPENDENT is YES or absent".to_owned()),
                };
                open.parts.push(Part {
                    line: line.to_owned(),
                    duration,
                    uri: quoted(&attributes, "URI")?,
                    independent,
                });
                return Ok(());
            }
            "EXTINF" => {
                let duration = value
                    .strip_suffix(',')
                    .and_then(decimal)
                    .ok_or("4.4.4.1: <duration>,")?;
                if open.duration.replace(duration).is_some() {
                    return Err("4.4.4.1: two durations".to_owned());
                }
            }
            _ => return Err("a tag that griot does not write".to_owned()),
        }
        // The tags of a growing segment only ever get more: none but GAP and EXTINF may follow its first part.
        let late = matches!(name, "EXT-X-GAP" | "EXTINF");
        if !open.parts.is_empty() && !late {
            return Err("6.2.1: a tag inserted behind the segment's parts".to_owned());
        }
        open.lines.push(line.to_owned());
        Ok(())
    }

    fn uri(&mut self, line: &str) -> Result<(), String> {
        let mut segment = std::mem::take(&mut self.open);
        if segment.duration.is_none() {
            return Err("4.4.4.1: a segment without EXTINF".to_owned());
        }
        segment.uri = Some(line.to_owned());
        segment.lines.push(line.to_owned());
        self.segments.push(segment);
        Ok(())
    }

    fn finish(self) -> Result<Playlist, String> {
        let number = |name: &str| -> Result<Option<u64>, String> {
            let value = self.values.get(name);
            value
                .map(|text| text.parse().map_err(|_| format!("{name}: not an integer")))
                .transpose()
        };
        let part_target = match self.values.get("EXT-X-PART-INF") {
            None => None,
            Some(value) => Some(
                attributes(value)?
                    .get("PART-TARGET")
                    .and_then(|target| decimal(target))
                    .ok_or("4.4.3.7: PART-TARGET is required")?,
            ),
        };
        let control = self.values.get("EXT-X-SERVER-CONTROL");
        Ok(Playlist {
            version: number("EXT-X-VERSION")?.unwrap_or(1),
            target_duration: number("EXT-X-TARGETDURATION")?
                .ok_or("4.4.3.1: TARGETDURATION is required")?,
            media_sequence: number("EXT-X-MEDIA-SEQUENCE")?.unwrap_or(0),
            discontinuity_sequence: number("EXT-X-DISCONTINUITY-SEQUENCE")?,
            kind: self.values.get("EXT-X-PLAYLIST-TYPE").cloned(),
            control: control.map_or(Ok(BTreeMap::new()), |value| attributes(value))?,
            part_target,
            skipped: self.skipped.unwrap_or(0),
            ended: self.seen.contains("EXT-X-ENDLIST"),
            header: self.header,
            segments: self.segments,
            edge: self.open,
            hints: self.hints,
            reports: self.reports,
        })
    }
}

/// An attribute list (4.2): names once each, no white space, quotes closed. Quoted values keep their quotes.
fn attributes(list: &str) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    let mut rest = list;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or("4.2: a name without a value")?;
        let good = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(good) {
            return Err(format!("4.2: the name {name:?}"));
        }
        let length = match after.strip_prefix('"') {
            Some(inner) => 2 + inner.find('"').ok_or("4.2: a quote is not closed")?,
            None => after.find(',').unwrap_or(after.len()),
        };
        let (value, next) = after.split_at(length);
        if value.is_empty() || (!value.starts_with('"') && value.contains(['"', ' '])) {
            return Err(format!("4.2: the value of {name}"));
        }
        if found.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(format!("4.2: {name} twice"));
        }
        rest = match next.strip_prefix(',') {
            Some(more) if !more.is_empty() => more,
            None if next.is_empty() => next,
            _ => return Err("4.2: a list is separated by single commas".to_owned()),
        };
    }
    Ok(found)
}

pub(crate) fn quoted(attributes: &BTreeMap<String, String>, name: &str) -> Result<String, String> {
    attributes
        .get(name)
        .and_then(|value| value.strip_prefix('"')?.strip_suffix('"'))
        .map(str::to_owned)
        .ok_or_else(|| format!("4.2: {name} is required, a quoted string"))
}

pub(crate) fn integer(attributes: &BTreeMap<String, String>, name: &str) -> Result<u64, String> {
    attributes
        .get(name)
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| format!("4.2: {name} is required, a decimal-integer"))
}
