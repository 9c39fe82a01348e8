//! The room as a client meets it: a whole house behind the front door, its rows and files in a scratch folder.

mod account;
mod delivery;
mod lives;
mod passage;
mod socket;
mod users;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;

use super::client::Peer;
use super::router::Front;
use super::{Config, Services};
use crate::accounts::{Accounts, NewAccount, PasswordCost};
use crate::av::{
    AudioCodec, AudioConfig, CodecConfig, Frame, Ticks, TrackKind, VideoCodec, VideoConfig,
};
use crate::base::{Clock, Events, IdMaker, Secret, Tasks, UserId};
use crate::live::{Deps, Lives, Media, PublishRequest, Publisher};
use crate::media::{self, Medias};
use crate::objects::Directory;
use crate::rendition::Places;
use crate::store::{self, Role, Store};
use crate::uploads::{self, Uploads};

const PASSWORD: &str = "un mot de passe";
const VIEWER: Peer = Peer {
    address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
    secure: false,
};
/// Kaloum's Almamya (contract §7).
const ALMAMYA: i64 = 11;

struct House {
    services: Services,
    front: Front,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON: {:?}", self.body))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .unwrap_or_else(|| panic!("no {name}"))
            .to_str()
            .unwrap()
    }
}

impl House {
    async fn open() -> Self {
        Self::with(Config {
            rate_limits: false,
            public_url: Some("https://griot.example".to_owned()),
            rtmp_public_url: "rtmp://griot.example/live".to_owned(),
            ..Config::default()
        })
        .await
    }

    async fn with(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rows = store::Config {
            url: format!("sqlite:{}", folder.path().join("griot.sqlite").display()),
        };
        let store = Store::open(&rows).await.unwrap();
        crate::geo::seed(&store).await.unwrap();
        let (clock, tasks) = (Clock::system(), Tasks::default());
        let ids = IdMaker::new(clock.clone());
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        let accounts = Accounts::new(store.clone(), &secret, clock.clone(), ids.clone())
            .unwrap()
            .with_password_cost(PasswordCost::FOR_TESTS);
        let host = crate::pipeline::Config::in_folder(folder.path().join("pipeline"));
        let host = crate::pipeline::Host::new(host);
        let lives = Lives::new(Deps {
            config: crate::live::Config {
                ladder: crate::live::LadderWish::Off,
                ..crate::live::Config::default()
            },
            store: store.clone(),
            accounts: accounts.clone(),
            places: Places {
                spool: folder.path().join("spool"),
                objects: Directory::open(folder.path().join("objects"))
                    .unwrap()
                    .into(),
            },
            host: host.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            events: Events::default(),
            tasks: tasks.clone(),
        });
        let jobs =
            crate::jobs::Jobs::new(store.clone(), clock.clone(), ids.clone(), "here".to_owned());
        let originals = folder.path().join("originals");
        let videos = crate::media::video::Videos::new(
            crate::media::video::Config { originals },
            host,
            store.clone(),
            lives.sending().clone(),
            jobs.clone(),
            clock.clone(),
            ids.clone(),
        );
        let medias = Medias::new(media::Deps {
            config: media::Config::default(),
            store: store.clone(),
            objects: Directory::open(folder.path().join("objects"))
                .unwrap()
                .into(),
            videos: videos.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
        });
        let uploads = Uploads::new(uploads::Deps {
            config: uploads::Config::default(),
            store: store.clone(),
            folder: folder.path().join("uploads"),
            medias: medias.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            tasks: tasks.clone(),
        });
        let places = Places {
            spool: folder.path().join("spool"),
            objects: Directory::open(folder.path().join("objects"))
                .unwrap()
                .into(),
        };
        let host = crate::pipeline::Config::in_folder(folder.path().join("pipeline"));
        let recordings = crate::recording::Recordings::new(crate::recording::Deps {
            config: crate::recording::Config::default(),
            host: crate::pipeline::Host::new(host),
            store: store.clone(),
            places,
            jobs: jobs.clone(),
            clock: clock.clone(),
            folder: folder.path().join("recordings"),
            reserve_bytes: 0,
        });
        let services = Services {
            lives,
            videos,
            recordings,
            accounts,
            store,
            jobs,
            medias,
            uploads,
            stopping: tokio_util::sync::CancellationToken::new(),
            metrics: Arc::new(|| "griot_up 1\n".to_owned()),
        };
        let local = "127.0.0.1:8000".parse().unwrap();
        Self {
            front: Front::new(config, services.clone(), local),
            services,
            tasks,
            _folder: folder,
        }
    }

    async fn member(&self, name: &str, role: Role, quartier_id: Option<i64>) -> UserId {
        let account = NewAccount {
            username: name.to_owned(),
            email: format!("{name}@example.org"),
            password: Some(Secret::new(PASSWORD)),
            first_name: "Mariam".to_owned(),
            last_name: "Diallo".to_owned(),
            quartier_id,
            role: Some(role),
            ..NewAccount::default()
        };
        self.services
            .accounts
            .create_user(account)
            .await
            .unwrap()
            .id
    }

    /// A member of Almamya and an access token.
    async fn mariam(&self) -> (UserId, String) {
        let id = self.member("mariam", Role::User, Some(ALMAMYA)).await;
        (id, self.token("mariam").await)
    }

    async fn token(&self, name: &str) -> String {
        let email = format!("{name}@example.org");
        let password = Secret::new(PASSWORD);
        let entered = self.services.accounts.login(&email, &password).await;
        entered.unwrap().tokens.access.expose().to_owned()
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.front.answer(VIEWER, request).await;
        let (head, body) = response.into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(asking("GET", path, None, Body::empty())).await
    }

    async fn get_as(&self, token: &str, path: &str) -> Answer {
        let request = asking("GET", path, Some(token), Body::empty());
        self.send(request).await
    }

    async fn json(&self, method: &str, path: &str, token: Option<&str>, body: Value) -> Answer {
        let mut request = asking(method, path, token, Body::from(body.to_string()));
        let json = "application/json".parse().unwrap();
        request.headers_mut().insert(CONTENT_TYPE, json);
        self.send(request).await
    }

    /// Publishes with a member's key, as `ingest` does.
    async fn publish(&self, owner: UserId) -> Publisher {
        let key = self.services.accounts.stream_key(owner).await.unwrap();
        let request = PublishRequest {
            key,
            protocol: "rtmp",
            encoder: Some("test encoder 1.0".to_owned()),
            remote: VIEWER.address,
        };
        self.services.lives.publish(request).await.unwrap()
    }
}

fn asking(method: &str, path: &str, token: Option<&str>, body: Body) -> Request<Body> {
    let mut request = Request::builder()
        .method(method.parse::<Method>().unwrap())
        .uri(path);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(body).unwrap()
}

/// Configurations of both tracks, then `seconds` of 25 pictures and 50 sounds a second from `from` on; a key
/// picture each second.
fn media(from: i64, seconds: i64) -> Vec<Media> {
    let mut media = vec![
        Media::Config(CodecConfig::Video(VideoConfig {
            codec: VideoCodec::H264,
            width: 640,
            height: 360,
            // A real avcC: High, level 3.0, one SPS and one PPS (x264, 640×360).
            record: Bytes::from_static(&[
                1, 0x64, 0, 0x1e, 0xff, 0xe1, 0, 0x18, 0x67, 0x64, 0, 0x1e, 0xac, 0xd9, 0x40, 0xa0,
                0x2f, 0xf9, 0x70, 0x11, 0, 0, 3, 0, 1, 0, 0, 3, 0, 0x32, 0x0f, 0x16, 0x2d, 0x96, 1,
                0, 6, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0,
            ]),
            codecs: "avc1.64001e".to_owned(),
        })),
        Media::Config(CodecConfig::Audio(AudioConfig {
            codec: AudioCodec::Aac,
            sample_rate: 48_000,
            channels: 2,
            frame_samples: 1_024,
            record: Bytes::from_static(&[0x11, 0x90]),
            codecs: "mp4a.40.2".to_owned(),
        })),
    ];
    for picture in from * 25..(from + seconds) * 25 {
        let dts = Ticks(picture * 3_600);
        let key = picture % 25 == 0;
        let nal: &[u8] = if key {
            &[0, 0, 0, 2, 0x65, 1]
        } else {
            &[0, 0, 0, 2, 0x41, 1]
        };
        media.push(Media::Frame(Frame {
            track: TrackKind::Video,
            dts,
            pts: dts,
            key,
            data: Bytes::from_static(nal),
        }));
        // 46.875 AAC frames a second: those that begin during this picture.
        let (begin, end) = (picture * 1_920, (picture + 1) * 1_920);
        for sound in (begin + 1_023) / 1_024..(end + 1_023) / 1_024 {
            media.push(Media::Frame(Frame {
                track: TrackKind::Audio,
                dts: Ticks(sound * 1_024),
                pts: Ticks(sound * 1_024),
                key: true,
                data: Bytes::from_static(&[0x21, 0x10, 4]),
            }));
        }
    }
    media
}
