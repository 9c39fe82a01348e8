//! A medium and an upload as JSON (contract §1.3).

use serde_json::{Map, Value, json};

use super::language::Language;
use super::links::Links;
use super::words::{self, Sentence};
use crate::av::Timescale;
use crate::media::Refusal;
use crate::store::{Job, JobState, Media, MediaFile, MediaKind, MediaState, Upload, UploadState};

/// The contract's twenty keys and ours behind them: `state`, `failure`, `blurhash`, `variants`; of a video `hls_url`.
pub(super) fn media(
    links: &Links,
    language: Language,
    media: &Media,
    files: &[MediaFile],
) -> Value {
    let address = |file: &MediaFile| links.media_file(&media.public_id, &file.name);
    let is_file = |file: &&MediaFile| file.name.starts_with("file.");
    let is_video = media.kind == MediaKind::Video;
    // A video's best rendition, and its playlist: `http/videos.rs`.
    let rendition = |name| {
        let is_ready = is_video && media.state == MediaState::Ready;
        is_ready.then(|| links.media_file(&media.public_id, name))
    };
    let file = files.iter().find(is_file).map(address);
    let file = file.or_else(|| rendition("file.mp4"));
    let poster = files.iter().find(|file| file.name == "poster.jpg");
    let thumbnail = match media.kind {
        MediaKind::Image => None,
        MediaKind::Video => poster.map(address),
    };
    let is_approved = media.approval_status == "approved";
    let variants: Vec<Value> = files
        .iter()
        .filter(|file| !is_file(file))
        .map(|file| variant(file, &address(file)))
        .collect();
    let mut shown = json!({
        "id": media.id,
        "file": file,
        "media_type": media.kind.as_str(),
        "title": media.title,
        "description": media.description,
        "duration": media.duration.map(|ticks| {
            clock_time(ticks.rescale(Timescale::VIDEO, Timescale::MILLIS).0)
        }),
        "file_size": media.bytes,
        "width": media.width,
        "height": media.height,
        "is_appropriate": media.is_appropriate,
        "approval_status": media.approval_status,
        "moderation_score": media.moderation_score,
        "is_live": false,
        "live_viewers_count": 0,
        "file_url": file,
        "thumbnail_url": thumbnail,
        "is_approved_for_publication": is_approved && media.is_appropriate,
        "cdn_url": null,
        "cdn_public_id": null,
        "created_at": media.created_at,
        "state": media.state.as_str(),
        "failure": media.failure.as_deref().map(|code| reason(code, language)),
        "blurhash": media.blurhash,
        "variants": variants,
    });
    if is_video {
        shown["hls_url"] = json!(rendition("index.m3u8"));
    }
    shown
}

fn variant(file: &MediaFile, address: &str) -> Value {
    json!({
        "name": file.name,
        "url": address,
        "content_type": file.content_type,
        "bytes": file.bytes,
        "width": file.width,
        "height": file.height,
    })
}

/// Where an upload stands, and what has come of it. `received` is how many bytes are there now.
pub(super) fn upload(
    links: &Links,
    language: Language,
    upload: &Upload,
    received: u64,
    become_of: Option<&(Media, Vec<MediaFile>)>,
    jobs: &[Job],
) -> Value {
    let refusal = upload.refusal.as_deref();
    let media_state = become_of.map(|(media, _)| media.state);
    let state = match (upload.state, media_state) {
        (UploadState::Receiving, _) => "receiving",
        (UploadState::Refused, _) | (_, Some(MediaState::Failed)) => "failed",
        (UploadState::Received, _) | (_, Some(MediaState::Processing)) => "processing",
        (UploadState::Accepted, _) => "ready",
    };
    let mut shown = Map::new();
    let mut put = |key: &str, value: Value| shown.insert(key.to_owned(), value);
    put("id", json!(upload.id));
    put("state", json!(state));
    put("received", json!(received));
    put("length", json!(upload.length));
    put("file_name", json!(upload.original_name));
    put("title", json!(upload.title));
    put("created_at", json!(upload.created_at));
    put("expires_at", json!(upload.expires_at));
    let (stage, percent) = match state {
        "receiving" => ("receiving", share(received, upload.length)),
        "processing" => at_work(jobs),
        state => (state, (state == "ready").then_some(100)),
    };
    put("stage", json!(stage));
    put("percent", json!(percent));
    let failure = refusal.or_else(|| become_of.and_then(|(media, _)| media.failure.as_deref()));
    put("error", json!(failure.map(|code| reason(code, language))));
    put(
        "media",
        json!(become_of.map(|(row, files)| media(links, language, row, files))),
    );
    Value::Object(shown)
}

/// Whole percent of the bytes that are there; `None` while nobody knows how many there will be.
fn share(received: u64, length: Option<i64>) -> Option<u64> {
    let length = u64::try_from(length?).ok()?;
    Some(received.saturating_mul(100) / length.max(1))
}

/// What the first job that is not done says of itself.
fn at_work(jobs: &[Job]) -> (&str, Option<u64>) {
    let open = |job: &&Job| matches!(job.state, JobState::Queued | JobState::Running);
    match jobs.iter().find(open) {
        Some(job) => (
            job.stage.as_deref().unwrap_or("waiting"),
            job.percent.and_then(|percent| u64::try_from(percent).ok()),
        ),
        None => ("checking", None),
    }
}

/// The code of a refusal or of a job that was given up, and its sentence in the reader's language.
fn reason(code: &str, language: Language) -> Value {
    let sentence = match code {
        "no_room" => words::MEDIA_NO_ROOM,
        // What is not the file's fault is ours, whatever it is called.
        code => Refusal::from_code(code).map_or(words::MEDIA_INTERNAL, refused),
    };
    json!({"code": code, "message": sentence.say(language)})
}

/// What people read of a refusal.
pub(super) fn refused(refusal: Refusal) -> Sentence {
    match refusal {
        Refusal::Empty => words::FILE_EMPTY,
        Refusal::UnknownType => words::FILE_UNKNOWN_TYPE,
        Refusal::ImageTooLarge => words::FILE_IMAGE_TOO_LARGE,
        Refusal::VideoTooLarge => words::FILE_VIDEO_TOO_LARGE,
        Refusal::TooLarge => words::FILE_TOO_LARGE,
        Refusal::TooManyPixels => words::FILE_TOO_MANY_PIXELS,
        Refusal::Unreadable => words::FILE_UNREADABLE,
        Refusal::Hidden => words::FILE_HIDDEN,
        Refusal::TooSlow => words::FILE_TOO_SLOW,
        Refusal::NoVideo => words::FILE_NO_VIDEO,
        Refusal::TooLong => words::FILE_TOO_LONG,
        Refusal::VideoNotOffered => words::FILE_VIDEO_NOT_OFFERED,
        Refusal::LiveOver => words::FILE_LIVE_OVER,
    }
}

/// `00:01:02`, with `.500000` behind it when it is no whole second (contract §1.0).
fn clock_time(millis: i64) -> String {
    let (seconds, rest) = (millis.div_euclid(1_000), millis.rem_euclid(1_000));
    let whole = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    if rest == 0 {
        whole
    } else {
        format!("{whole}.{rest:03}000")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_server_is_not_called_one_of_the_file() {
        let said = |code: &str| reason(code, Language::English)["message"].clone();
        assert_eq!(said("unreadable"), "The file cannot be read or is damaged.");
        assert_eq!(
            said("no_room"),
            "The server had no room left for this video. Send the file again later."
        );
        assert_eq!(
            said("internal"),
            "An error of the server kept this video from being made; nothing is wrong with the file. Send it again later."
        );
        assert_eq!(said("internal"), said("what comes later"));
        let french = reason("internal", Language::French)["message"].clone();
        assert!(
            french
                .as_str()
                .is_some_and(|text| text.starts_with("Une erreur du serveur"))
        );
    }

    #[test]
    fn durations_read_as_the_contract_shows() {
        assert_eq!(clock_time(3_000), "00:00:03");
        assert_eq!(clock_time(3_723_500), "01:02:03.500000");
    }
}
