//! A live as JSON: what everybody may see of it, and what only its owner and admins may (design §9).

use serde_json::{Map, Value, json};

use super::links::{Links, SOURCE};
use crate::av::{Ticks, Timescale};
use crate::live::LiveView;
use crate::store::{EndReason, PostAuthor, PublishSession, Role, Run, RunState, WholeRecording};

/// For whose eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Public,
    Owner,
}

/// The public view of a live, and for its owner the encoders' names too. Keys and addresses are the handler's
/// to add: they are in no row that this sees.
pub(super) fn public(links: &Links, view: &LiveView, detail: Detail) -> Value {
    let (live, post) = (&view.post.live, &view.post.post);
    let author = if post.is_anonymous && detail == Detail::Public {
        Value::Null
    } else {
        author(links, &view.post.author)
    };
    let sessions: Vec<Value> = view
        .sessions
        .iter()
        .map(|session| publish_session(session, detail))
        .collect();
    let recording = view
        .recording
        .as_ref()
        .map(|recording| whole_recording(links, &live.playback_id, recording));
    json!({
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
        "author": author,
        "sessions": sessions,
        "recording": recording,
        // The keys of the contract's Post (§1.4) that have something behind them.
        "post": {
            "id": post.id,
            "author": author,
            "quartier": view.post.quartier,
            "title": post.title,
            "content": post.content,
            "post_type": post.post_type,
            "is_live_post": post.is_live_post,
            "is_pinned": post.is_pinned,
            "is_anonymous": post.is_anonymous,
            "likes_count": post.likes_count,
            "comments_count": post.comments_count,
            "views_count": post.views_count,
            "shares_count": post.shares_count,
            "live_status": live.status.as_str(),
            "live_started_at": live.started_at,
            "live_ended_at": live.ended_at,
            "created_at": post.created_at,
            "updated_at": post.updated_at,
        },
    })
}

/// The User object without what is private (contract §1.1).
fn author(links: &Links, author: &PostAuthor) -> Value {
    let full_name = format!("{} {}", author.first_name, author.last_name);
    let full_name = match full_name.trim() {
        "" => author.username.as_str(),
        name => name,
    };
    json!({
        "id": author.id,
        "username": author.username,
        "first_name": author.first_name,
        "last_name": author.last_name,
        "full_name": full_name,
        "bio": author.bio,
        "profile_picture": links.media(author.profile_picture.as_deref()),
        "quartier": author.quartier_id,
        "role": author.role.as_str(),
        "is_verified": author.is_verified,
        "is_geographically_verified": author.is_geographically_verified,
        "is_ambassador": author.role == Role::Ambassador,
        "is_admin": author.role == Role::Admin,
        "date_joined": author.date_joined,
    })
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
        // No WebM is made yet.
        "webm_url": null,
        "gaps": gaps,
        "runs": each,
    })
}

/// Seconds with three digits: a millisecond is nearer than any player shows.
fn seconds(ticks: Ticks) -> f64 {
    (ticks.seconds(Timescale::VIDEO) * 1_000.0).round() / 1_000.0
}
