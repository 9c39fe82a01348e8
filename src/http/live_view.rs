//! A live as JSON: what everybody may see of it, and what only its owner and admins may (design §9).

use serde_json::{Map, Value, json};

use super::links::{Links, SOURCE};
use super::renditions;
use crate::av::{Ticks, Timescale};
use crate::base::UserId;
use crate::live::{LadderView, LiveView, NoLadder};
use crate::posts;
use crate::recording;
use crate::store::{EndReason, Live, LiveStatus, PublishSession, Run, RunState, WholeRecording};

/// For whose eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Public,
    Owner,
}

/// A live as `viewer` may see it; with the encoders' names for [`Detail::Owner`]. Keys and addresses are the
/// handler's to add: they are in no row that this sees.
pub(super) fn shown(
    links: &Links,
    view: LiveView,
    viewer: Option<UserId>,
    detail: Detail,
) -> Value {
    let sessions: Vec<Value> = view
        .sessions
        .iter()
        .map(|session| publish_session(session, detail))
        .collect();
    let posts::LiveView { live, mut post } = posts::view(view.post, viewer);
    if let Some(author) = &mut post.author {
        author.profile_picture = links.media(author.profile_picture.as_deref());
    }
    let renditions = renditions::shown(
        links,
        &live,
        &view.ladder,
        view.source.as_ref(),
        view.recording.as_ref(),
    );
    let poster = poster(links, &live, view.recording.as_ref());
    let ladder = (detail == Detail::Owner).then(|| ladder(&view.ladder));
    let recording = view
        .recording
        .map(|recording| whole_recording(links, &live.playback_id, &recording));
    let mut shown = json!({
        "id": live.id,
        "live_id": live.id,
        "post_id": post.id,
        "playback_id": live.playback_id,
        "title": live.title,
        "description": live.description,
        "status": live.status.as_str(),
        "end_reason": live.end_reason.map(EndReason::as_str),
        "hls_url": links.hls(&live.playback_id),
        "watch_url": links.watch(live.id),
        "created_at": live.created_at,
        "started_at": live.started_at,
        "ended_at": live.ended_at,
        "viewers": view.viewers,
        "peak_viewers": live.peak_viewers,
        "author": post.author,
        "sessions": sessions,
        "recording": recording,
        "renditions": renditions,
        "poster_url": poster,
        "post": post,
    });
    if let (Value::Object(shown), Some(ladder)) = (&mut shown, ladder) {
        shown.insert("ladder".to_owned(), ladder);
    }
    shown
}

/// The newest picture of a live that runs, the recording's after the end; null before there is one.
fn poster(links: &Links, live: &Live, recording: Option<&WholeRecording>) -> Option<String> {
    let recording = recording?;
    if live.status == LiveStatus::Ended {
        let is_there = recording
            .files
            .iter()
            .any(|file| file.name == recording::POSTER);
        return is_there.then(|| links.recording_file(&live.playback_id, recording::POSTER));
    }
    let has_picture = |run: &Run| run.video_codec.is_some() && run.duration > Ticks::ZERO;
    let drawable = recording.runs.iter().any(has_picture);
    drawable.then(|| links.live_poster(&live.playback_id))
}

/// How the ladder fares, for the owner and admins.
fn ladder(view: &LadderView) -> Value {
    let child = view.child.map(|child| {
        json!({
            "lag_seconds": thousandths(child.lag_s),
            "real_time_factor": thousandths(child.real_time_factor),
            "cpu_seconds": thousandths(child.cpu_s),
            "memory_bytes": child.memory_bytes,
        })
    });
    json!({
        "lacks": view.lacks.map(NoLadder::as_str),
        "children_lost": view.children_lost,
        "child": child,
    })
}

fn thousandths(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

fn publish_session(session: &PublishSession, detail: Detail) -> Value {
    let mut shown = Map::new();
    shown.insert("started_at".to_owned(), json!(session.started_at));
    shown.insert("ended_at".to_owned(), json!(session.ended_at));
    shown.insert("protocol".to_owned(), json!(session.protocol));
    if detail == Detail::Owner {
        shown.insert("encoder".to_owned(), json!(session.encoder));
    }
    shown.insert("end_reason".to_owned(), json!(session.end_reason));
    Value::Object(shown)
}

/// Sums and the longest run's values above the runs; addresses are null until there is something behind them.
fn whole_recording(links: &Links, playback_id: &str, whole: &WholeRecording) -> Value {
    let runs: Vec<&Run> = whole
        .runs
        .iter()
        .filter(|run| run.rendition == SOURCE)
        .collect();
    let longest = runs.iter().copied().max_by_key(|run| run.duration);
    let duration = runs.iter().fold(Ticks::ZERO, |sum, run| sum + run.duration);
    let bytes: i64 = runs.iter().map(|run| run.bytes).sum();
    let mp4 = |run: &Run| {
        let number = u32::try_from(run.number).ok()?;
        let is_final = run.state == RunState::Final;
        is_final.then(|| links.mp4(playback_id, &run.rendition, number))
    };
    let file = |name: &str| {
        let mut files = whole.files.iter();
        let is_there = files.any(|file| file.name == name);
        is_there.then(|| links.recording_file(playback_id, name))
    };
    let gaps: Vec<Value> = whole
        .gaps
        .iter()
        .map(|gap| {
            json!({"at": seconds(gap.at), "seconds": gap.seconds, "cause": gap.cause.as_str()})
        })
        .collect();
    let each: Vec<Value> = runs
        .iter()
        .map(|run| {
            json!({
                "at": seconds(run.timeline_start),
                "duration": seconds(run.duration),
                "bytes": run.bytes,
                "width": run.width,
                "height": run.height,
                "video_codec": run.video_codec,
                "audio_codec": run.audio_codec,
                "mp4_url": mp4(run),
                "tree_sha256": run.tree_sha256,
            })
        })
        .collect();
    json!({
        "state": whole.recording.state.as_str(),
        "stored_at": whole.recording.stored_at,
        "duration": seconds(duration),
        "bytes": bytes,
        "width": longest.and_then(|run| run.width),
        "height": longest.and_then(|run| run.height),
        "video_codec": longest.and_then(|run| run.video_codec.as_deref()),
        "audio_codec": longest.and_then(|run| run.audio_codec.as_deref()),
        "mp4_url": longest.and_then(mp4),
        "webm_url": file(recording::FILE),
        "poster_url": file(recording::POSTER),
        "storyboard_url": file(recording::STORYBOARD),
        "gaps": gaps,
        "runs": each,
    })
}

/// Seconds with three digits: a millisecond is nearer than any player shows.
fn seconds(ticks: Ticks) -> f64 {
    (ticks.seconds(Timescale::VIDEO) * 1_000.0).round() / 1_000.0
}
