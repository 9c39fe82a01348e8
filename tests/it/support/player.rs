//! The viewing side: playlists read as a player reads them, followed by blocking reloads.

use reqwest::{StatusCode, Url};
use tokio::time::Instant;

use super::{Answer, PATIENCE, Server, eventually};

/// A partial segment's line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PartLine {
    /// As written.
    pub(crate) uri: String,
    /// Seconds.
    pub(crate) duration_s: f64,
}

/// A segment and the lines that belong to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SegmentLines {
    /// Its media sequence number.
    pub(crate) msn: u64,
    /// As written.
    pub(crate) uri: String,
    /// EXTINF, seconds.
    pub(crate) duration_s: f64,
    /// The EXT-X-MAP in force, as written.
    pub(crate) map: String,
    /// EXT-X-DISCONTINUITY before it.
    pub(crate) discontinuity: bool,
    /// EXT-X-GAP.
    pub(crate) gap: bool,
    /// EXT-X-PROGRAM-DATE-TIME, as written.
    pub(crate) program_date_time: Option<String>,
    /// Its parts, while they are listed.
    pub(crate) parts: Vec<PartLine>,
}

/// A media playlist.
#[derive(Clone, Debug, Default)]
pub(crate) struct Playlist {
    /// As it came.
    pub(crate) text: String,
    /// EXT-X-TARGETDURATION, seconds.
    pub(crate) target_duration_s: u64,
    /// Whole segments.
    pub(crate) segments: Vec<SegmentLines>,
    /// Parts of the segment that is not whole yet.
    pub(crate) open_parts: Vec<PartLine>,
    /// EXT-X-PRELOAD-HINT, as written.
    pub(crate) hint: Option<String>,
    /// EXT-X-ENDLIST.
    pub(crate) ended: bool,
}

impl Playlist {
    /// Reads a media playlist; panics on what no player would accept.
    pub(crate) fn parse(text: &str) -> Self {
        assert!(text.starts_with("#EXTM3U\n"), "no playlist:\n{text}");
        let mut playlist = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        let mut first_msn = 0;
        let mut map = String::new();
        let mut next = SegmentLines::default();
        for line in text.lines() {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-TARGETDURATION" => {
                    playlist.target_duration_s = value.parse().expect("a whole number")
                }
                "#EXT-X-MEDIA-SEQUENCE" => first_msn = value.parse().expect("a whole number"),
                "#EXT-X-MAP" => map = attribute(value, "URI").expect("EXT-X-MAP has a URI"),
                "#EXT-X-DISCONTINUITY" => next.discontinuity = true,
                "#EXT-X-GAP" => next.gap = true,
                "#EXT-X-PROGRAM-DATE-TIME" => next.program_date_time = Some(value.to_owned()),
                "#EXT-X-ENDLIST" => playlist.ended = true,
                "#EXT-X-PRELOAD-HINT" => playlist.hint = attribute(value, "URI"),
                "#EXT-X-PART" => next.parts.push(PartLine {
                    uri: attribute(value, "URI").expect("EXT-X-PART has a URI"),
                    duration_s: attribute(value, "DURATION")
                        .and_then(|text| text.parse().ok())
                        .expect("EXT-X-PART has a DURATION"),
                }),
                "#EXTINF" => {
                    next.duration_s = value
                        .split(',')
                        .next()
                        .and_then(|s| s.parse().ok())
                        .expect("EXTINF")
                }
                _ if !line.starts_with('#') && !line.is_empty() => {
                    line.clone_into(&mut next.uri);
                    next.msn = first_msn + u64::try_from(playlist.segments.len()).expect("small");
                    next.map.clone_from(&map);
                    playlist.segments.push(std::mem::take(&mut next));
                }
                _ => {}
            }
        }
        playlist.open_parts = next.parts;
        playlist
    }

    /// The sum of what it lists, seconds.
    pub(crate) fn duration_s(&self) -> f64 {
        let whole: f64 = self.segments.iter().map(|segment| segment.duration_s).sum();
        whole
            + self
                .open_parts
                .iter()
                .map(|part| part.duration_s)
                .sum::<f64>()
    }

    /// Media sequence number and part number of what comes next.
    fn next_part(&self) -> (u64, usize) {
        let msn = self.segments.last().map_or(0, |segment| segment.msn + 1);
        (msn, self.open_parts.len())
    }
}

/// The value of an attribute, without its quotes (RFC 8216bis 4.2). None of ours holds a comma in quotes.
fn attribute(list: &str, name: &str) -> Option<String> {
    list.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name).then(|| value.trim_matches('"').to_owned())
    })
}

/// Follows the media playlist of one live. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Player {
    client: reqwest::Client,
    media: Url,
}

impl Player {
    /// Reads the multivariant playlist, waiting for the first media, and follows its first variant.
    pub(crate) async fn open(server: &Server, hls_url: &str) -> Self {
        let master = eventually("the live has something to play", || async {
            let answer = Answer::of(server.client.get(hls_url)).await;
            match answer.status {
                StatusCode::OK => Ok(answer),
                StatusCode::NOT_FOUND => Err(answer.status),
                other => panic!("the multivariant playlist answers {other}"),
            }
        })
        .await;
        let text = String::from_utf8(master.body).expect("a playlist is UTF-8");
        let variant = text
            .lines()
            .skip_while(|line| !line.starts_with("#EXT-X-STREAM-INF"))
            .find(|line| !line.starts_with('#'))
            .unwrap_or_else(|| panic!("no variant in\n{text}"));
        let media = Url::parse(hls_url)
            .and_then(|base| base.join(variant))
            .expect("a variant's URI");
        Self {
            client: server.client.clone(),
            media,
        }
    }

    /// The media playlist's own address.
    pub(crate) fn address(&self) -> &Url {
        &self.media
    }

    /// The playlist as it is now.
    pub(crate) async fn now(&self) -> Playlist {
        self.fetch(&[]).await
    }

    /// The playlist with one part more than `seen`: a blocking reload (RFC 8216bis 6.2.5.2). griot lets go of a
    /// reload after some seconds with nothing new, as it must while an encoder is silent; so nothing new is fine.
    pub(crate) async fn after(&self, seen: &Playlist) -> Playlist {
        let (msn, part) = seen.next_part();
        self.fetch(&[
            ("_HLS_msn", msn.to_string()),
            ("_HLS_part", part.to_string()),
        ])
        .await
    }

    /// Follows until `enough`.
    pub(crate) async fn until(
        &self,
        what: &str,
        mut enough: impl FnMut(&Playlist) -> bool,
    ) -> Playlist {
        let deadline = Instant::now() + PATIENCE;
        let mut playlist = self.now().await;
        while !enough(&playlist) {
            assert!(
                Instant::now() < deadline && !playlist.ended,
                "followed in vain until {what}:\n{}",
                playlist.text
            );
            playlist = self.after(&playlist).await;
        }
        playlist
    }

    /// Follows until so many seconds are listed.
    pub(crate) async fn until_seconds(&self, seconds: f64) -> Playlist {
        self.until(&format!("{seconds} s are listed"), |playlist| {
            playlist.duration_s() >= seconds
        })
        .await
    }

    /// An address that a playlist names.
    pub(crate) fn resolve(&self, uri: &str) -> Url {
        self.media.join(uri).expect("a URI of a playlist")
    }

    /// The bytes behind a URI of the playlist.
    pub(crate) async fn bytes(&self, uri: &str) -> Vec<u8> {
        Answer::of(self.client.get(self.resolve(uri)))
            .await
            .expect(200)
            .body
    }

    /// As [`Self::after`]; `None` while the server is away, or says that it asks for too much.
    pub(crate) async fn try_after(&self, seen: &Playlist) -> Option<Playlist> {
        let mut url = self.media.clone();
        if !seen.text.is_empty() {
            let (msn, part) = seen.next_part();
            url.query_pairs_mut()
                .append_pair("_HLS_msn", &msn.to_string())
                .append_pair("_HLS_part", &part.to_string());
        }
        let mut answer = self.client.get(url).send().await.ok()?;
        if answer.status() == StatusCode::BAD_REQUEST {
            // It knows less than it did: as a player does, ask anew.
            answer = self.client.get(self.media.clone()).send().await.ok()?;
        }
        let text = answer.error_for_status().ok()?.text().await.ok()?;
        Some(Playlist::parse(&text))
    }

    /// As [`Self::bytes`]; `None` when the server is away or the answer is torn.
    pub(crate) async fn try_bytes(&self, uri: &str) -> Option<Vec<u8>> {
        let answer = self.client.get(self.resolve(uri)).send().await.ok()?;
        Some(answer.error_for_status().ok()?.bytes().await.ok()?.to_vec())
    }

    async fn fetch(&self, query: &[(&str, String)]) -> Playlist {
        let mut url = self.media.clone();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let answer = Answer::of(self.client.get(url)).await.expect(200);
        Playlist::parse(&String::from_utf8(answer.body).expect("a playlist is UTF-8"))
    }
}
