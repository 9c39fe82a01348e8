//! Stories of a live's rungs, with a real database and real files; the child is one that gives back what it is given.

use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::*;
use crate::av::{
    AudioCodec, AudioConfig, CodecConfig, Frame, Ticks, TrackKind, VideoCodec, VideoConfig,
};
use crate::base::{Clock, IdMaker, LiveId, RecordingId, Secret, Tasks, UserId};
use crate::fmp4::frames_of;
use crate::hls;
use crate::objects::Directory;
use crate::store::{NewLive, NewUser, Role, RunState, Store, WholeRecording};

/// A process: what survives it lies in the folder.
struct House {
    store: Store,
    sending: Sending,
    tasks: Tasks,
    clock: Clock,
    ids: IdMaker,
}

impl House {
    async fn open(folder: &Path) -> Self {
        let url = format!("sqlite:{}", folder.join("griot.db").display());
        let store = Store::open(&crate::store::Config { url }).await.unwrap();
        crate::geo::seed(&store).await.unwrap();
        let (clock, tasks) = (Clock::system(), Tasks::default());
        let places = Places {
            spool: folder.join("spool"),
            objects: Directory::open(folder.join("objects")).unwrap().into(),
        };
        std::fs::create_dir_all(&places.spool).unwrap();
        Self {
            sending: Sending::new(store.clone(), places, clock.clone(), tasks.clone()),
            ids: IdMaker::new(clock.clone()),
            store,
            tasks,
            clock,
        }
    }

    async fn live(&self) -> (LiveId, RecordingId) {
        let (user, live) = (UserId(self.ids.next()), LiveId(self.ids.next()));
        let user = NewUser {
            id: user,
            username: "mariam".to_owned(),
            email: "mariam@example.org".to_owned(),
            password_hash: Secret::new("x"),
            first_name: String::new(),
            last_name: String::new(),
            phone_number: String::new(),
            date_of_birth: None,
            bio: String::new(),
            quartier_id: Some(11),
            role: Role::User,
            at: self.clock.now(),
            search: String::new(),
        };
        let owner_id = self.store.create_user(&user).await.unwrap().id;
        let new = NewLive {
            id: live,
            owner_id,
            quartier_id: 11,
            playback_id: "playback".to_owned(),
            title: String::new(),
            description: String::new(),
            content: String::new(),
            node: None,
            at: self.clock.now(),
        };
        self.store.start_live(&new).await.unwrap();
        let recording = RecordingId(self.ids.next());
        let made = self
            .store
            .create_recording(recording, live, self.clock.now());
        (live, made.await.unwrap().id)
    }

    fn plan(&self, live: LiveId) -> GrowingPlan {
        GrowingPlan {
            live,
            rendition: "source".to_owned(),
            part_max_ms: 200,
            store: self.store.clone(),
            sending: self.sending.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            tasks: self.tasks.clone(),
        }
    }

    async fn recording(&self, live: LiveId) -> WholeRecording {
        self.store.recording_of(live).await.unwrap().unwrap()
    }
}

fn rung_plan() -> MirrorPlan {
    MirrorPlan {
        rendition: "360p".to_owned(),
        picture: Some(From::Encoder),
        sound: Some(From::Source),
        estimate: hls::Variant {
            uri: "360p/index.m3u8".to_owned(),
            bandwidth: 900_000,
            average_bandwidth: None,
            codecs: "avc1.64001e,mp4a.40.2".to_owned(),
            resolution: Some((640, 360)),
            frame_rate: Some(30.0),
        },
    }
}

fn picture(width: u32) -> VideoConfig {
    VideoConfig {
        codec: VideoCodec::H264,
        width,
        height: 360,
        record: Bytes::from(vec![1, 0x64, 0, 30, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68]),
        codecs: "avc1.64001e".to_owned(),
    }
}

fn sound() -> AudioConfig {
    AudioConfig {
        codec: AudioCodec::Aac,
        sample_rate: 48_000,
        channels: 2,
        frame_samples: 1_024,
        record: Bytes::from_static(&[0x11, 0x90]),
        codecs: "mp4a.40.2".to_owned(),
    }
}

/// A live with one rung.
struct Stage {
    growing: Growing,
    rung: Mirror,
    beats: mpsc::Receiver<Beat>,
    /// Whether the child is there.
    child: bool,
    pictures: i64,
    sounds: i64,
}

impl Stage {
    async fn begin(house: &House) -> (Self, LiveId) {
        let (live, recording) = house.live().await;
        let mut growing = Growing::new(house.plan(live));
        let mut rung = Mirror::new(house.plan(live), rung_plan());
        growing.set_recording(recording);
        rung.set_recording(recording);
        (Self::of(growing, rung).await, live)
    }

    async fn resume(house: &House, live: LiveId) -> Self {
        let recording = house.recording(live).await;
        let resumed = Growing::resume(house.plan(live), &recording, Survived::Written);
        let mut growing = resumed.await.unwrap().0;
        let line = growing.take_line();
        let plan = house.plan(live);
        let rung = Mirror::resume(plan, rung_plan(), &recording, &line, Survived::Written);
        let rung = rung.await.unwrap();
        Self::of(growing, rung).await
    }

    async fn of(mut growing: Growing, mut rung: Mirror) -> Self {
        let (followers, beats) = mpsc::channel(1_000);
        growing.follow(followers);
        rung.config(CodecConfig::Video(picture(320))).await.unwrap();
        Self {
            growing,
            rung,
            beats,
            child: true,
            pictures: 0,
            sounds: 0,
        }
    }

    async fn publish(&mut self, width: u32) {
        self.growing.start_session();
        let configs = vec![
            Media::Config(CodecConfig::Video(picture(width))),
            Media::Config(CodecConfig::Audio(sound())),
        ];
        self.growing.push(configs).await.unwrap();
    }

    /// So many pictures at 30 a second, a key frame each second, and the sound beside them.
    async fn send(&mut self, pictures: i64) {
        for _ in 0..pictures {
            let dts = Ticks(self.pictures * 3_000);
            let mut media = vec![frame(TrackKind::Video, dts, self.pictures % 30 == 0)];
            self.pictures += 1;
            while self.sounds * 1_024 * 30 < self.pictures * 48_000 {
                media.push(frame(TrackKind::Audio, Ticks(self.sounds * 1_024), true));
                self.sounds += 1;
            }
            self.growing.push(media).await.unwrap();
            self.mirror().await;
        }
    }

    async fn mirror(&mut self) {
        while let Ok(beat) = self.beats.try_recv() {
            // What it cannot do (a disk that refuses) it says by its playlist, too.
            drop(self.rung.beat(&beat).await);
            let Beat::Part { part, .. } = &beat else {
                continue;
            };
            let frames = frames_of(part).into_iter().filter(|_| self.child);
            for frame in frames.filter(|frame| frame.track == TrackKind::Video) {
                let data = Bytes::from([&b"rung"[..], &frame.data[4..]].concat());
                drop(self.rung.frame(Frame { data, ..frame }).await);
            }
        }
    }

    async fn end_session(&mut self) {
        self.growing.end_session().await.unwrap();
        self.mirror().await;
    }

    async fn finish(&mut self) {
        assert!(self.growing.finish().await.unwrap());
        self.mirror().await;
        assert!(self.rung.finish().await.unwrap());
    }
}

fn frame(track: TrackKind, dts: Ticks, key: bool) -> Media {
    let mut data = vec![0, 0, 0, 12, 0x65, 0, 0, 0];
    data.extend_from_slice(&dts.0.to_be_bytes());
    Media::Frame(Frame {
        track,
        dts,
        pts: dts,
        key,
        data: Bytes::from(data),
    })
}

async fn playlist(reader: &Reader) -> String {
    let text = reader.playlist(PlaylistQuery::default()).await.unwrap();
    String::from_utf8(text.body.to_vec()).unwrap()
}

/// Its lines, but for those that only a live has and those of gaps.
fn bare(playlist: &str) -> Vec<&str> {
    let lines = playlist.lines();
    let only = ["#EXT-X-PART:", "#EXT-X-PRELOAD", "#EXT-X-GAP"];
    lines
        .filter(|line| !only.iter().any(|tag| line.starts_with(tag)))
        .collect()
}

fn gaps(playlist: &str) -> usize {
    playlist.matches("#EXT-X-GAP").count()
}

async fn bytes_of(media: MediaBytes) -> Bytes {
    match media {
        MediaBytes::Memory(bytes) => bytes,
        MediaBytes::File(range) => range.read_whole().unwrap(),
        MediaBytes::Object(_) => panic!("there is no bucket"),
    }
}

/// All renditions as a viewer finds them after the end, source first.
async fn replay(house: &House, live: LiveId) -> Vec<Reader> {
    let recording = house.recording(live).await;
    Reader::replay_all(&house.store, &house.sending, &recording)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_rung_has_the_playlist_of_its_source_line_for_line_and_other_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path()).await;
    let (mut stage, live) = Stage::begin(&house).await;
    stage.publish(640).await;
    let (source, rung) = (stage.growing.reader(), stage.rung.reader());
    for pictures in [40, 13, 100, 60, 1, 200] {
        stage.send(pictures).await;
        assert_eq!(playlist(&rung).await, playlist(&source).await);
    }
    // Another session, another picture: another run, with a discontinuity.
    stage.end_session().await;
    stage.publish(1_280).await;
    stage.send(150).await;
    assert_eq!(playlist(&rung).await, playlist(&source).await);
    assert!(
        playlist(&rung)
            .await
            .contains("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"1/init.mp4\"")
    );
    let part = bytes_of(rung.segment(0, 2).unwrap()).await;
    assert!(part.windows(4).any(|four| four == b"rung"));
    assert!(
        !bytes_of(source.segment(0, 2).unwrap())
            .await
            .windows(4)
            .any(|four| four == b"rung")
    );

    stage.finish().await;
    let ended = playlist(&source).await;
    assert!(ended.ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(playlist(&rung).await, ended);
    let replay = replay(&house, live).await;
    assert_eq!(replay.len(), 2);
    for reader in &replay {
        assert_eq!(playlist(reader).await, ended, "{}", reader.name());
    }
    assert_eq!(bytes_of(replay[1].segment(0, 2).unwrap()).await, part);
    let recording = house.recording(live).await;
    let frames = |rendition: &str| {
        let runs = recording
            .runs
            .iter()
            .filter(|run| run.rendition == rendition);
        runs.map(|run| (run.number, run.state, run.duration))
            .collect::<Vec<_>>()
    };
    assert_eq!(frames("360p"), frames("source"));
    assert!(frames("360p").iter().all(|run| run.1 == RunState::Final));
}

#[tokio::test]
async fn a_rung_that_is_away_answers_404_and_returns_with_gaps_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path()).await;
    let (mut stage, live) = Stage::begin(&house).await;
    stage.publish(640).await;
    stage.send(170).await;
    let (source, rung) = (stage.growing.reader(), stage.rung.reader());
    stage.child = false;
    stage.rung.away().await;
    assert!(stage.rung.is_away());
    let blocked = PlaylistQuery {
        msn: Some(5),
        ..PlaylistQuery::default()
    };
    assert_eq!(
        rung.playlist(blocked).await.err(),
        Some(PlaybackError::NotFound)
    );
    stage.send(200).await;
    assert_eq!(
        rung.playlist(blocked).await.err(),
        Some(PlaybackError::NotFound)
    );
    // Its successor begins in the middle of a segment, and is heard from the next one on.
    stage.child = true;
    stage.send(330).await;
    assert!(!stage.rung.is_away());
    let text = playlist(&rung).await;
    assert_eq!(bare(&text), bare(&playlist(&source).await));
    assert!((2..=4).contains(&gaps(&text)), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.starts_with('#'))
    {
        let msn: u64 = line[2..].trim_end_matches(".m4s").parse().unwrap();
        let is_gap = lines[at - 2] == "#EXT-X-GAP" || lines[at - 1] == "#EXT-X-GAP";
        assert_eq!(rung.segment(0, msn).is_err(), is_gap, "{line}");
    }
    stage.finish().await;
    let ended = playlist(&rung).await;
    assert_eq!(gaps(&ended), gaps(&text));
    assert_eq!(playlist(&replay(&house, live).await[1]).await, ended);
    let runs = house.recording(live).await.runs;
    assert_eq!(
        runs.iter().filter(|run| run.rendition == "360p").count(),
        1,
        "the same file"
    );
}

#[tokio::test]
async fn after_a_kill_a_rung_goes_on_in_its_file_and_lacks_what_had_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let (live, before) = {
        let house = House::open(folder.path()).await;
        let (mut stage, live) = Stage::begin(&house).await;
        stage.publish(640).await;
        stage.send(200).await;
        let text = playlist(&stage.rung.reader()).await;
        // Killed: nothing is closed. Rows that were handed over are written.
        drop(stage);
        house.tasks.stop_and_wait().await;
        (live, text)
    };
    let house = House::open(folder.path()).await;
    let mut stage = Stage::resume(&house, live).await;
    let (source, rung) = (stage.growing.reader(), stage.rung.reader());
    assert!(stage.rung.is_away());
    stage.publish(640).await;
    stage.send(300).await;
    assert!(!stage.rung.is_away());
    let text = playlist(&rung).await;
    assert_eq!(bare(&text), bare(&playlist(&source).await));
    assert_eq!(
        gaps(&text),
        1,
        "the open segment was whole in the source's file alone: {text}"
    );
    // Where segments begin; the part target of the header is its source's matter.
    let segments = |text: &str| text.find("#EXT-X-MAP").unwrap();
    for line in bare(&before[segments(&before)..]) {
        assert!(bare(&text).contains(&line), "{line} is not in {text}");
    }
    stage.finish().await;
    let ended = playlist(&rung).await;
    assert_eq!(playlist(&replay(&house, live).await[1]).await, ended);
    let runs = house.recording(live).await.runs;
    let own: Vec<_> = runs.iter().filter(|run| run.rendition == "360p").collect();
    assert_eq!((own.len(), own[0].state), (1, RunState::Final));
}

#[tokio::test]
async fn a_rung_that_was_killed_with_its_live_is_made_final_without_more_media() {
    let folder = tempfile::tempdir().unwrap();
    let live = {
        let house = House::open(folder.path()).await;
        let (mut stage, live) = Stage::begin(&house).await;
        stage.publish(640).await;
        stage.send(200).await;
        drop(stage);
        house.tasks.stop_and_wait().await;
        live
    };
    let house = House::open(folder.path()).await;
    let mut stage = Stage::resume(&house, live).await;
    stage.finish().await;
    let (source, rung) = (stage.growing.reader(), stage.rung.reader());
    let ended = playlist(&rung).await;
    assert_eq!(bare(&ended), bare(&playlist(&source).await));
    assert!(ended.ends_with("#EXT-X-ENDLIST\n"));
    let replay = replay(&house, live).await;
    assert_eq!(playlist(&replay[1]).await, ended);
    assert!(replay[1].download(0).is_ok());
}

#[tokio::test]
async fn a_disk_that_refuses_costs_segments_and_not_the_rung() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path()).await;
    let (mut stage, live) = Stage::begin(&house).await;
    // Where its file should grow lies another one.
    let place = house.sending.places().spool.join(format!("lives/{live}"));
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("360p"), b"in the way").unwrap();
    stage.publish(640).await;
    stage.send(100).await;
    assert!(stage.rung.is_away());
    std::fs::remove_file(place.join("360p")).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    stage.send(300).await;
    assert!(!stage.rung.is_away());
    let (source, rung) = (stage.growing.reader(), stage.rung.reader());
    let text = playlist(&rung).await;
    assert_eq!(bare(&text), bare(&playlist(&source).await));
    assert!(gaps(&text) >= 1);
    stage.finish().await;
    assert_eq!(
        playlist(&replay(&house, live).await[1]).await,
        playlist(&rung).await
    );
}

#[tokio::test]
async fn playlists_name_the_newest_part_of_the_others_but_of_those_that_are_away() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path()).await;
    let (mut stage, _) = Stage::begin(&house).await;
    stage.publish(640).await;
    stage.send(100).await;
    let (source, rung) = (stage.growing.reader(), stage.rung.reader());
    introduce(&[&source, &rung]);
    let text = playlist(&source).await;
    let last = text
        .lines()
        .rfind(|line| line.starts_with("#EXT-X-PART:"))
        .unwrap();
    let uri = last.split('"').nth(1).unwrap();
    let mut numbers = uri.trim_start_matches("0/").split('.');
    let (msn, part) = (numbers.next().unwrap(), numbers.next().unwrap());
    let of = |name: &str| {
        format!(
            "#EXT-X-RENDITION-REPORT:URI=\"../{name}/index.m3u8\",LAST-MSN={msn},LAST-PART={part}\n"
        )
    };
    assert!(text.ends_with(&of("360p")), "{text}");
    assert!(playlist(&rung).await.ends_with(&of("source")));
    let multivariant = live_multivariant(&source, &[&rung]).await.unwrap();
    let multivariant = String::from_utf8(multivariant.body.to_vec()).unwrap();
    let uris: Vec<&str> = multivariant
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(uris, ["source/index.m3u8", "360p/index.m3u8"]);
    assert!(
        multivariant
            .contains("CODECS=\"avc1.64001e,mp4a.40.2\",RESOLUTION=320x360,FRAME-RATE=30.000"),
        "{multivariant}"
    );
    stage.rung.away().await;
    assert!(!playlist(&source).await.contains("REPORT"));
}

#[tokio::test]
async fn a_rung_that_is_not_kept_leaves_neither_rows_nor_files() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path()).await;
    let (mut stage, live) = Stage::begin(&house).await;
    stage.publish(640).await;
    stage.send(200).await;
    stage.finish().await;
    drop_rungs(&house.sending, &house.recording(live).await)
        .await
        .unwrap();
    let runs = house.recording(live).await.runs;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].rendition, "source");
    assert_eq!(replay(&house, live).await.len(), 1);
    let left = folder
        .path()
        .join(format!("objects/lives/{live}/360p/0.mp4"));
    assert!(!left.exists());
}
