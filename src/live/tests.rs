//! Stories of lives, told through the service with a real database and real files, without sockets.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::{
    Actor, Closing, Config, Deps, LadderWish, LiveError, Lives, Media, Publisher, StartLive,
};
use super::{PublishRefusal, PublishRequest, SessionEnd};
use crate::accounts::{Accounts, NewAccount, PasswordCost};
use crate::av::{
    AudioCodec, AudioConfig, CodecConfig, Frame, Ticks, TrackKind, VideoCodec, VideoConfig,
};
use crate::base::{Clock, Events, IdMaker, LiveId, Secret, Tasks, UserId};
use crate::objects::Directory;
use crate::pipeline::{self, Host};
use crate::rendition::{MediaBytes, Places, PlaylistQuery, Survived};
use crate::store::{EndReason, LiveStatus, RecordingState, Store};

/// A server without sockets: what survives a restart lies in `folder`.
struct House {
    lives: Lives,
    accounts: Accounts,
    store: Store,
    tasks: Tasks,
}

impl House {
    async fn open(folder: &Path) -> Self {
        Self::open_with(folder, Config::default()).await
    }

    async fn open_with(folder: &Path, config: Config) -> Self {
        // Children are the business of `tests/it/ladder.rs`.
        let config = Config {
            ladder: LadderWish::Off,
            ..config
        };
        let url = format!("sqlite:{}", folder.join("griot.db").display());
        let store = Store::open(&crate::store::Config { url })
            .await
            .expect("a database");
        crate::geo::seed(&store).await.expect("places in rows");
        let clock = Clock::system();
        let ids = IdMaker::new(clock.clone());
        let secret = Secret::new("a secret of at least thirty-two bytes");
        let accounts = Accounts::new(store.clone(), &secret, clock.clone(), ids.clone())
            .expect("a secret that is long enough")
            .with_password_cost(PasswordCost::FOR_TESTS);
        let tasks = Tasks::default();
        let places = Places {
            spool: folder.join("spool"),
            objects: Directory::open(folder.join("objects"))
                .expect("a folder")
                .into(),
        };
        let lives = Lives::new(Deps {
            config,
            store: store.clone(),
            accounts: accounts.clone(),
            places,
            host: Host::new(pipeline::Config::in_folder(folder.join("pipeline"))),
            clock,
            ids,
            events: Events::default(),
            tasks: tasks.clone(),
        });
        Self {
            lives,
            accounts,
            store,
            tasks,
        }
    }

    async fn member(&self, name: &str, quartier: Option<i64>) -> UserId {
        let account = NewAccount {
            username: name.to_owned(),
            email: format!("{name}@example.org"),
            password: Some(Secret::new("twelve-characters")),
            quartier_id: quartier,
            ..NewAccount::default()
        };
        self.accounts
            .create_user(account)
            .await
            .expect("a member")
            .id
    }

    async fn publish(&self, key: &Secret) -> Result<Publisher, PublishRefusal> {
        let request = PublishRequest {
            key: key.clone(),
            protocol: "rtmp",
            encoder: Some("story".to_owned()),
            remote: IpAddr::from([127, 0, 0, 1]),
        };
        self.lives.publish(request).await
    }

    /// The playlist as soon as segment `msn` is in it.
    async fn playlist(&self, live: LiveId, msn: Option<u64>) -> String {
        let view = self.lives.view(live).await.expect("a live");
        let playback = self
            .lives
            .playback(&view.post.live.playback_id)
            .await
            .expect("a playback");
        let query = PlaylistQuery {
            msn,
            ..PlaylistQuery::default()
        };
        let text = playback.source().playlist(query).await.expect("a playlist");
        String::from_utf8(text.body.to_vec()).expect("text")
    }

    async fn status(&self, live: LiveId) -> LiveStatus {
        self.store
            .live(live)
            .await
            .expect("rows")
            .expect("a live")
            .status
    }

    async fn until_status(&self, live: LiveId, status: LiveStatus) {
        let mut events = self.lives.deps().events.subscribe();
        while self.status(live).await != status {
            tokio::time::timeout(Duration::from_secs(20), events.recv())
                .await
                .expect("the live changes in time")
                .expect("events are told");
        }
    }
}

/// 30 pictures a second in GOPs of one second, and AAC beside them.
struct Encoder {
    pictures: i64,
    sounds: i64,
    width: u32,
}

impl Encoder {
    fn new() -> Self {
        Self {
            pictures: 0,
            sounds: 0,
            width: 640,
        }
    }

    fn configs(&self) -> Vec<Media> {
        let video = VideoConfig {
            codec: VideoCodec::H264,
            width: self.width,
            height: 360,
            record: Bytes::from(vec![1, 0x64, 0, 30, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68]),
            codecs: "avc1.64001e".to_owned(),
        };
        let audio = AudioConfig {
            codec: AudioCodec::Aac,
            sample_rate: 48_000,
            channels: 2,
            frame_samples: 1024,
            record: Bytes::from_static(&[0x11, 0x90]),
            codecs: "mp4a.40.2".to_owned(),
        };
        vec![
            Media::Config(CodecConfig::Video(video)),
            Media::Config(CodecConfig::Audio(audio)),
        ]
    }

    /// `seconds` of media, sound and picture in turns.
    fn seconds(&mut self, seconds: i64) -> Vec<Media> {
        let end = self.pictures + 30 * seconds;
        let mut media = Vec::new();
        while self.pictures < end {
            let key = self.pictures % 30 == 0;
            let dts = Ticks(self.pictures * 3_000);
            media.push(self.frame(TrackKind::Video, dts, key, self.pictures));
            self.pictures += 1;
            while self.sounds * 1024 * 30 < self.pictures * 48_000 {
                let dts = Ticks(self.sounds * 1024);
                media.push(self.frame(TrackKind::Audio, dts, true, self.sounds));
                self.sounds += 1;
            }
        }
        media
    }

    fn frame(&self, track: TrackKind, dts: Ticks, key: bool, number: i64) -> Media {
        let mut data = vec![0, 0, 0, 12, 0x65, 0, 0, 0];
        data.extend_from_slice(&number.to_be_bytes());
        Media::Frame(Frame {
            track,
            dts,
            pts: dts,
            key,
            data: Bytes::from(data),
        })
    }
}

async fn open_door(house: &House, encoder: &mut Encoder, key: &Secret, seconds: i64) -> Publisher {
    let publisher = house.publish(key).await.expect("the key is good");
    publisher
        .send(encoder.configs())
        .await
        .expect("the live listens");
    publisher
        .send(encoder.seconds(seconds))
        .await
        .expect("the live listens");
    publisher
}

fn segments(playlist: &str) -> Vec<&str> {
    let uris = playlist.lines().filter(|line| !line.starts_with('#'));
    uris.filter(|line| !line.is_empty()).collect()
}

#[tokio::test]
async fn a_live_is_a_replay_the_moment_it_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::open(folder.path()).await;
    let owner = house.member("mariam", Some(11)).await;
    let started = house
        .lives
        .start(owner, StartLive::default())
        .await
        .expect("a live");
    let live = started.live;
    assert_eq!(house.status(live).await, LiveStatus::Ready);

    let mut encoder = Encoder::new();
    let publisher = open_door(&house, &mut encoder, &started.stream_key, 5).await;
    let during = house.playlist(live, Some(2)).await;
    assert_eq!(house.status(live).await, LiveStatus::Live);
    assert!(!during.contains("#EXT-X-ENDLIST"), "{during}");
    let playback = house
        .lives
        .playback(&started.playback_id)
        .await
        .expect("a playback");
    let early = playback.source().segment(0, 1).expect("a segment");

    let actor = Actor {
        user: owner,
        is_admin: false,
    };
    let stopped = house.lives.stop(actor, live, false).await.expect("a stop");
    assert!(stopped.video_saved);
    assert_eq!(publisher.closed().await, Closing::Stopped);
    let after = house.playlist(live, None).await;
    assert!(after.ends_with("#EXT-X-ENDLIST\n"), "{after}");
    let listed = segments(&after);
    assert!(segments(&during).iter().all(|uri| listed.contains(uri)));

    let late = playback.source().segment(0, 1).expect("the same segment");
    assert_eq!(read(early).await, read(late).await);
    let download = playback.source().download(0).expect("an MP4");
    let file = read(download.media).await;
    assert_eq!(&file[4..8], b"ftyp");
    let view = house.lives.view(live).await.expect("a view");
    assert_eq!(view.post.live.end_reason, Some(EndReason::Owner));
    let recording = view.recording.expect("a recording");
    assert_eq!(recording.recording.state, RecordingState::Ready);
    assert!(recording.recording.stored_at.is_some());
    assert_eq!(recording.runs.len(), 1);
    // Five seconds of 30 pictures each; sound may end up to one frame later.
    let duration = recording.runs[0].duration.0;
    assert!((450_000..452_000).contains(&duration), "{duration}");
    assert_eq!(view.sessions[0].end_reason.as_deref(), Some("stopped"));

    let again = house
        .lives
        .stop(actor, live, false)
        .await
        .expect("a second stop");
    assert!(again.video_saved);
    assert_eq!(
        house.publish(&started.stream_key).await.err(),
        Some(PublishRefusal::Stopped),
        "the encoder's own reconnect is no new live"
    );
}

#[tokio::test]
async fn only_the_owner_or_an_admin_stops_a_live() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::open(folder.path()).await;
    let owner = house.member("mariam", Some(11)).await;
    let other = house.member("awa", Some(11)).await;
    let started = house
        .lives
        .start(owner, StartLive::default())
        .await
        .expect("a live");
    let stranger = Actor {
        user: other,
        is_admin: false,
    };
    let refused = house.lives.stop(stranger, started.live, false).await;
    assert!(matches!(refused, Err(LiveError::Forbidden)));
    let unknown = house.lives.stop(stranger, LiveId(1), false).await;
    assert!(matches!(unknown, Err(LiveError::NotFound)));
    let admin = Actor {
        user: other,
        is_admin: true,
    };
    let stopped = house
        .lives
        .stop(admin, started.live, false)
        .await
        .expect("a stop");
    assert!(!stopped.video_saved, "no encoder came");
    let view = house.lives.view(started.live).await.expect("a view");
    assert_eq!(view.post.live.end_reason, Some(EndReason::Admin));
}

#[tokio::test]
async fn starting_needs_a_quartier_and_no_other_live() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::open(folder.path()).await;
    let nomad = house.member("nomad", None).await;
    let refused = house.lives.start(nomad, StartLive::default()).await;
    assert!(matches!(refused, Err(LiveError::NoQuartier)));
    let key = house.accounts.stream_key(nomad).await.expect("a key");
    assert_eq!(
        house.publish(&key).await.err(),
        Some(PublishRefusal::NoQuartier)
    );
    let owner = house.member("mariam", Some(11)).await;
    let first = house
        .lives
        .start(owner, StartLive::default())
        .await
        .expect("a live");
    let second = house.lives.start(owner, StartLive::default()).await;
    assert!(matches!(second, Err(LiveError::AlreadyLive(live)) if live == first.live));
}

#[tokio::test]
async fn an_encoder_that_comes_back_continues_the_same_live_and_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::open(folder.path()).await;
    let owner = house.member("mariam", Some(11)).await;
    let key = house.accounts.stream_key(owner).await.expect("a key");
    let mut encoder = Encoder::new();
    let first = open_door(&house, &mut encoder, &key, 3).await;
    let live = first.live;
    assert_eq!(house.publish(&key).await.err(), Some(PublishRefusal::Busy));
    first.end(SessionEnd::Dropped).await;
    house.until_status(live, LiveStatus::Interrupted).await;

    let second = open_door(&house, &mut Encoder::new(), &key, 3).await;
    assert_eq!(second.live, live);
    house.until_status(live, LiveStatus::Live).await;
    let playlist = house.playlist(live, Some(4)).await;
    assert!(!playlist.contains("#EXT-X-DISCONTINUITY"), "{playlist}");
    assert_eq!(playlist.matches("#EXT-X-MAP").count(), 1);
    assert_eq!(playlist.matches("#EXT-X-PROGRAM-DATE-TIME").count(), 2);
    let view = house.lives.view(live).await.expect("a view");
    assert_eq!(view.sessions.len(), 2);
    let recording = view.recording.expect("a recording");
    assert_eq!(recording.gaps.len(), 1);
    assert_eq!(recording.runs.len(), 1);
}

#[tokio::test]
async fn a_changed_picture_size_begins_a_new_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::open(folder.path()).await;
    let owner = house.member("mariam", Some(11)).await;
    let key = house.accounts.stream_key(owner).await.expect("a key");
    let mut encoder = Encoder::new();
    let publisher = open_door(&house, &mut encoder, &key, 3).await;
    encoder.width = 1280;
    publisher
        .send(encoder.configs())
        .await
        .expect("the live listens");
    publisher
        .send(encoder.seconds(3))
        .await
        .expect("the live listens");
    let actor = Actor {
        user: owner,
        is_admin: false,
    };
    house
        .lives
        .stop(actor, publisher.live, false)
        .await
        .expect("a stop");
    let playlist = house.playlist(publisher.live, None).await;
    assert_eq!(playlist.matches("#EXT-X-MAP").count(), 2, "{playlist}");
    assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    let view = house.lives.view(publisher.live).await.expect("a view");
    let runs = view.recording.expect("a recording").runs;
    let widths: Vec<_> = runs.iter().map(|run| run.width).collect();
    assert_eq!(widths, [Some(640), Some(1280)]);
    assert!(runs.iter().all(|run| run.etag.is_some()));
}

#[tokio::test]
async fn who_does_not_come_back_within_the_grace_is_gone() {
    for (end, reason) in [
        (SessionEnd::Dropped, EndReason::Timeout),
        (SessionEnd::Goodbye, EndReason::IngestClosed),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config {
            reconnect_grace: Duration::from_millis(50),
            goodbye_grace: Duration::from_millis(50),
            ..Config::default()
        };
        let house = House::open_with(folder.path(), config).await;
        let owner = house.member("mariam", Some(11)).await;
        let key = house.accounts.stream_key(owner).await.expect("a key");
        let publisher = open_door(&house, &mut Encoder::new(), &key, 2).await;
        let live = publisher.live;
        publisher.end(end).await;
        house.until_status(live, LiveStatus::Ended).await;
        let view = house.lives.view(live).await.expect("a view");
        assert_eq!(view.post.live.end_reason, Some(reason));
    }
}

#[tokio::test]
async fn a_nearly_full_disk_takes_in_no_new_live_and_lets_encoders_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, key) = {
        let house = House::open(folder.path()).await;
        let owner = house.member("mariam", Some(11)).await;
        let key = house.accounts.stream_key(owner).await.expect("a key");
        let publisher = open_door(&house, &mut Encoder::new(), &key, 4).await;
        house.playlist(publisher.live, Some(2)).await;
        house.store.close().await;
        (publisher.live, key)
    };
    let full = Config {
        spool_reserve_bytes: u64::MAX,
        ..Config::default()
    };
    let house = House::open_with(folder.path(), full).await;
    house
        .lives
        .resume(Survived::Written)
        .await
        .expect("a resume");
    let newcomer = house.member("binta", Some(11)).await;
    let other = house.accounts.stream_key(newcomer).await.expect("a key");
    let refused = house.publish(&other).await.err();
    assert_eq!(refused, Some(PublishRefusal::NoRoom));
    // One that was started on the page waits for its encoder; that is refused too.
    let started = house.lives.start(newcomer, StartLive::default()).await;
    let started = started.expect("a live").live;
    let refused = house.publish(&other).await.err();
    assert_eq!(refused, Some(PublishRefusal::NoRoom));
    assert_eq!(house.status(started).await, LiveStatus::Ready);

    let back = open_door(&house, &mut Encoder::new(), &key, 3).await;
    assert_eq!(back.live, live);
}

#[tokio::test]
async fn a_restart_goes_on_with_the_same_file_and_keeps_every_announced_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, key, owner, before) = {
        let house = House::open(folder.path()).await;
        let owner = house.member("mariam", Some(11)).await;
        let key = house.accounts.stream_key(owner).await.expect("a key");
        let publisher = open_door(&house, &mut Encoder::new(), &key, 4).await;
        let playlist = house.playlist(publisher.live, Some(2)).await;
        // As kill -9 does it: nobody says goodbye, nothing is parked. (Dropping the runtime's tasks would be
        // closer still, but the database must let go of its file.)
        house.store.close().await;
        (publisher.live, key, owner, playlist)
    };
    let house = House::open(folder.path()).await;
    let resumed = house
        .lives
        .resume(Survived::Written)
        .await
        .expect("a resume");
    assert_eq!((resumed.resumed, resumed.failed), (1, 0));
    assert_eq!(house.status(live).await, LiveStatus::Interrupted);
    let after = house.playlist(live, None).await;
    let old: Vec<&str> = segments(&before);
    assert!(!old.is_empty());
    assert!(
        old.iter().all(|uri| segments(&after).contains(uri)),
        "{before}\n{after}"
    );

    let publisher = open_door(&house, &mut Encoder::new(), &key, 3).await;
    assert_eq!(publisher.live, live);
    let actor = Actor {
        user: owner,
        is_admin: false,
    };
    assert!(
        house
            .lives
            .stop(actor, live, false)
            .await
            .expect("a stop")
            .video_saved
    );
    let recording = house
        .lives
        .view(live)
        .await
        .expect("a view")
        .recording
        .expect("a recording");
    assert_eq!(recording.runs.len(), 1);
    // Four seconds before, three after; at most one part of 200 ms was not written yet.
    let duration = recording.runs[0].duration.0;
    assert!(
        (6 * 90_000 + 72_000..7 * 90_000 + 9_000).contains(&duration),
        "{duration}"
    );
    house.tasks.stop_and_wait().await;
}

#[tokio::test]
async fn an_ended_live_is_played_from_its_rows_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (live, before) = {
        let house = House::open(folder.path()).await;
        let owner = house.member("mariam", Some(11)).await;
        let key = house.accounts.stream_key(owner).await.expect("a key");
        let publisher = open_door(&house, &mut Encoder::new(), &key, 4).await;
        let actor = Actor {
            user: owner,
            is_admin: false,
        };
        house
            .lives
            .stop(actor, publisher.live, false)
            .await
            .expect("a stop");
        let text = house.playlist(publisher.live, None).await;
        house.store.close().await;
        (publisher.live, text)
    };
    let house = House::open(folder.path()).await;
    house
        .lives
        .resume(Survived::Written)
        .await
        .expect("a resume");
    assert_eq!(house.playlist(live, None).await, before);
    let view = house.lives.view(live).await.expect("a view");
    let playback = house
        .lives
        .playback(&view.post.live.playback_id)
        .await
        .expect("a playback");
    assert!(
        !read(playback.source().segment(0, 0).expect("a segment"))
            .await
            .is_empty()
    );
    assert!(playback.source().download(0).is_ok());
}

async fn read(bytes: MediaBytes) -> Bytes {
    match bytes {
        MediaBytes::Memory(bytes) => bytes,
        MediaBytes::File(range) => {
            let mut whole = Vec::new();
            while (whole.len() as u64) < range.length {
                let piece = range.read(whole.len() as u64);
                whole.extend_from_slice(&piece.expect("a readable file"));
            }
            whole.into()
        }
        MediaBytes::Object(range) => panic!("nothing is in a bucket: {range:?}"),
    }
}
