//! The rooms put together, and taken apart again in order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::boot;
use super::data_dir::DataDirLock;
use super::{Addresses, Config, DataDir, Rooms, install_metrics, raise_open_file_limit, work};
use crate::accounts::Accounts;
use crate::base::{Events, Tasks};
use crate::http;
use crate::ingest::{self, PublishDoor, RtmpListener};
use crate::jobs::Workers;
use crate::live::{self, Lives};
use crate::media::{self, Medias};
use crate::rendition::{Places, SpoolRoom};
use crate::tls::{Acceptor, Certificate, Speaks};
use crate::uploads::{self, Uploads};

/// How long a stop waits for lives to park: a disk that hangs must not hold it for ever.
const PARK_WITHIN: Duration = Duration::from_secs(5);
/// The same for jobs to be given back; beside the lives.
const JOBS_WITHIN: Duration = Duration::from_secs(5);
/// The same for encoders to hear that we stop.
const PUBLISHERS_WITHIN: Duration = Duration::from_secs(1);
/// The same for uploads to make durable what has come.
const UPLOADS_WITHIN: Duration = Duration::from_secs(1);
/// The same for the database to finish what it was told.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// The same for answers under way. All in all a stop ends within ten seconds, whatever hangs.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
/// Histograms that nobody fetches are emptied this often.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);
const TOKEN_PURGE: Duration = Duration::from_secs(24 * 3_600);

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    rooms: Rooms,
    ingest: Tasks,
    lives: Tasks,
    uploads: Tasks,
    workers: Workers,
    http: Tasks,
    upkeep: Tasks,
    /// Cancelled when the stop begins.
    stopping: CancellationToken,
    /// Cancelled when a listener ends without having been told to.
    broken: CancellationToken,
    _lock: DataDirLock,
}

/// Starts everything. When it returns, everything listens.
///
/// # Errors
/// What cannot work; the message says which key to change.
pub async fn start(config: &Config) -> anyhow::Result<Server> {
    let folder = DataDir::open_or_create(&config.data_dir)?;
    let lock = folder.lock()?;
    // What an earlier server noted is not true any more.
    lock.note("")
        .context("griot.lock in the data folder cannot be written")?;
    let open_files = raise_open_file_limit();
    let metrics = install_metrics()?;
    let rooms = Rooms::open(config, &mut |step| {
        let (version, name) = (step.version, &step.name);
        tracing::info!(version, name, "migration {} of {}", step.step, step.steps);
    })
    .await?;

    let live_tasks = Tasks::default();
    let places = rooms.places(config)?;
    let events = Events::default();
    // From before the first live can end.
    let ready = events.subscribe();
    let host = config.pipeline.host_in(&rooms.folder);
    let lives = Lives::new(live::Deps {
        config: live_settings(config, &places)?,
        store: rooms.store.clone(),
        accounts: rooms.accounts.clone(),
        places: places.clone(),
        host: host.clone(),
        clock: rooms.clock.clone(),
        ids: rooms.ids.clone(),
        events: events.clone(),
        tasks: live_tasks.clone(),
    });
    let videos = work::videos(&rooms, host.clone(), lives.sending());
    let recordings = work::recordings(config, &rooms, &places, host);
    // Before uploads are judged again: that takes files.
    let swept = videos.sweep().await;
    let swept = swept.context("files of videos that an earlier run left cannot be looked at")?;
    if swept > 0 {
        tracing::info!(files = swept, "files of which no video is made are gone");
    }
    let swept = recordings.sweep().await;
    let swept = swept.context("what an earlier run left of WebMs cannot be looked at")?;
    if swept > 0 {
        tracing::info!(files = swept, "files that were half made are gone");
    }
    let upload_tasks = Tasks::default();
    let medias = Medias::new(media::Deps {
        config: config.media.clone(),
        store: rooms.store.clone(),
        objects: places.objects.clone(),
        videos: videos.clone(),
        clock: rooms.clock.clone(),
        tasks: upload_tasks.clone(),
    });
    let uploads = Uploads::new(uploads::Deps {
        config: config.uploads.clone(),
        store: rooms.store.clone(),
        folder: folder.join("uploads"),
        medias: medias.clone(),
        clock: rooms.clock.clone(),
        ids: rooms.ids.clone(),
        tasks: upload_tasks.clone(),
    });
    let survived =
        boot::survived(&folder).context("griot.boot in the data folder cannot be read")?;
    let found = lives
        .resume(survived)
        .await
        .context("the lives of an earlier run cannot be taken up")?;
    uploads
        .resume(survived)
        .await
        .context("the uploads of an earlier run cannot be taken up")?;
    medias.keep_swept();
    boot::server_runs(&folder).context("griot.boot in the data folder cannot be written")?;

    let certificate = certificate(config).await?;
    let rtmp = bind_rtmp(config, lives.clone(), certificate.as_ref())?;
    // Encoders are told the port that was really taken.
    let mut addresses = Addresses::asked_for(config);
    addresses.rtmp = rtmp.local_addr();
    addresses.rtmps = rtmp.rtmps_addr();
    let page = bind_http(config, &addresses, certificate.as_ref()).await?;
    addresses.http = page.local_addr();
    addresses.https = page.https_addr();

    let broken = CancellationToken::new();
    let server = Server {
        addresses,
        ingest: Tasks::default(),
        lives: live_tasks,
        uploads: upload_tasks,
        workers: Workers::start_in_server(
            &rooms.jobs,
            work::registry(&places, &videos, &recordings),
            config.jobs.clone(),
        ),
        http: Tasks::default(),
        upkeep: Tasks::default(),
        stopping: CancellationToken::new(),
        broken: broken.clone(),
        rooms,
        _lock: lock,
    };
    recordings.follow(ready, &server.upkeep);
    let accounts = &server.rooms.accounts;
    spawn_upkeep(&server.upkeep, metrics.clone(), accounts.clone());
    if let Some(certificate) = certificate {
        server
            .upkeep
            .spawn(certificate.follow(server.upkeep.stopping()));
    }
    let services = http::Services {
        lives,
        videos,
        recordings,
        accounts: accounts.clone(),
        store: server.rooms.store.clone(),
        jobs: server.rooms.jobs.clone(),
        medias,
        uploads,
        stopping: server.stopping.clone(),
        metrics: Arc::new(move || metrics.render()),
    };
    let ends = broken.clone().drop_guard();
    let tasks = server.ingest.clone();
    server.ingest.spawn(async move {
        rtmp.run(tasks).await;
        drop(ends);
    });
    let ends = broken.drop_guard();
    let tasks = server.http.clone();
    server.http.spawn(async move {
        page.run(services, tasks).await;
        drop(ends);
    });
    server
        ._lock
        .note(&addresses.to_string())
        .context("griot.lock in the data folder cannot be written")?;
    tracing::info!(
        http = %addresses.http,
        rtmp = %addresses.rtmp,
        https = addresses.https.map(tracing::field::display),
        rtmps = addresses.rtmps.map(tracing::field::display),
        open_files,
        resumed = found.resumed,
        finished = found.finished,
        failed = found.failed,
        "griot is ready"
    );
    Ok(server)
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Pending as long as both listeners run. Cancel safe.
    pub async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Stops in order: what comes in first, what goes out last.
    pub async fn stop(self) {
        // Whoever balances between servers sends nobody here any more.
        self.stopping.cancel();
        // No more encoders.
        self.ingest.stopping().cancel();
        // Each live ends its publisher with the reason, writes what it has and parks its file. Meanwhile jobs end
        // or go back to the queue.
        let parked = timeout(PARK_WITHIN, self.lives.stop_and_wait());
        let (parked, ()) = tokio::join!(parked, stop_workers(&self.workers));
        if parked.is_err() {
            tracing::error!("lives did not park in time; the next start recovers them");
        } else {
            boot::server_stopped(&self.rooms.folder);
        }
        // Encoders that are still being told may take a moment.
        if timeout(PUBLISHERS_WITHIN, self.ingest.stop_and_wait())
            .await
            .is_err()
        {
            tracing::warn!("encoders did not close in time");
        }
        // What has come of uploads is on disk, and their senders are told to come again.
        if timeout(UPLOADS_WITHIN, self.uploads.stop_and_wait())
            .await
            .is_err()
        {
            tracing::warn!("uploads did not stop in time; the next start goes on with them");
        }
        // Viewers get the answers they wait for; `http` bounds that itself.
        self.http.stop_and_wait().await;
        self.upkeep.stop_and_wait().await;
        close(&self.rooms).await;
        tracing::info!("griot has stopped");
    }
}

/// Ends jobs or gives them back, within a bound.
pub(super) async fn stop_workers(workers: &Workers) {
    if timeout(JOBS_WITHIN, workers.stop_and_wait()).await.is_err() {
        tracing::warn!("jobs did not end in time; they go on when their leases end");
    }
}

/// Closes the database, within a bound.
pub(super) async fn close(rooms: &Rooms) {
    if timeout(CLOSE_WITHIN, rooms.close()).await.is_err() {
        tracing::warn!("the database did not close in time");
    }
}

/// The certificate of `[https]` and `[rtmps]`; `None` when neither listens.
async fn certificate(config: &Config) -> anyhow::Result<Option<Arc<Certificate>>> {
    let wanted = match (config.https.listen, config.rtmps.listen) {
        (Some(_), _) => "https.listen (GRIOT_HTTPS_LISTEN)",
        (None, Some(_)) => "rtmps.listen (GRIOT_RTMPS_LISTEN)",
        (None, None) => return Ok(None),
    };
    let files = config.tls.files().with_context(|| {
        format!(
            "{wanted} needs a certificate; set tls.cert (GRIOT_TLS_CERT) and tls.key (GRIOT_TLS_KEY)"
        )
    })?;
    let certificate = Certificate::load(files).await.context(
        "no certificate can be shown; change tls.cert (GRIOT_TLS_CERT) and tls.key (GRIOT_TLS_KEY)",
    )?;
    Ok(Some(certificate))
}

/// The settings of lives, with a reserve that suits the spool's disk.
fn live_settings(config: &Config, places: &Places) -> anyhow::Result<live::Config> {
    let spool = &places.spool;
    let room = SpoolRoom::of(spool)
        .with_context(|| format!("the disk of {} cannot be looked at", spool.display()))?;
    let mut settings = config.live.clone();
    settings.spool_reserve_bytes = room.reserve(settings.spool_reserve_bytes);
    Ok(settings)
}

fn bind_rtmp(
    config: &Config,
    lives: Lives,
    certificate: Option<&Arc<Certificate>>,
) -> anyhow::Result<RtmpListener> {
    let door: PublishDoor = Arc::new(move |request| {
        let lives = lives.clone();
        Box::pin(async move { lives.publish(request).await })
    });
    let settings = ingest::Config {
        rtmp_listen: config.rtmp.listen,
        max_connections: config.rtmp.max_connections,
        max_connections_per_address: config.rtmp.max_connections_per_address,
        ..ingest::Config::default()
    };
    let plain = RtmpListener::bind(settings, door).with_context(|| {
        format!(
            "encoders cannot be heard on {}; end what holds it, or change rtmp.listen (GRIOT_RTMP_LISTEN)",
            config.rtmp.listen
        )
    })?;
    let (Some(listen), Some(certificate)) = (config.rtmps.listen, certificate) else {
        return Ok(plain);
    };
    let acceptor = Acceptor::new(certificate, Speaks::Rtmp)?;
    plain.with_rtmps(listen, acceptor).with_context(|| {
        format!(
            "encoders cannot be heard on {listen}; end what holds it, or change rtmps.listen (GRIOT_RTMPS_LISTEN)"
        )
    })
}

async fn bind_http(
    config: &Config,
    addresses: &Addresses,
    certificate: Option<&Arc<Certificate>>,
) -> anyhow::Result<http::Bound> {
    let settings = http::Config {
        listen: config.http.listen,
        public_url: config.http.public_url.clone(),
        rtmp_public_url: addresses.rtmp_url(config),
        rtmps_public_url: addresses.rtmps_url(config),
        rate_limits: config.http.rate_limits,
        trusted_proxies: config.http.trusted_proxies.clone(),
        objects_redirect: config.objects.s3_redirect,
        metrics: config.http.metrics,
        max_connections: config.http.max_connections,
        max_connections_per_address: config.http.max_connections_per_address,
        drain: ANSWERS_WITHIN,
        ..http::Config::default()
    };
    let plain = http::bind(settings).await.with_context(|| {
        format!(
            "viewers cannot be answered on {}; end what holds it, or change http.listen (GRIOT_HTTP_LISTEN)",
            config.http.listen
        )
    })?;
    let (Some(listen), Some(certificate)) = (config.https.listen, certificate) else {
        return Ok(plain);
    };
    let acceptor = Acceptor::new(certificate, Speaks::Http)?;
    plain.with_https(listen, acceptor).await.with_context(|| {
        format!(
            "viewers cannot be answered on {listen}; end what holds it, or change https.listen (GRIOT_HTTPS_LISTEN)"
        )
    })
}

fn spawn_upkeep(tasks: &Tasks, metrics: PrometheusHandle, accounts: Accounts) {
    let stopping = tasks.stopping();
    tasks.spawn(async move {
        let mut upkeep = interval(METRICS_UPKEEP);
        let mut purge = interval(TOKEN_PURGE);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                _ = purge.tick() => match accounts.purge_tokens().await {
                    Ok(purged) => tracing::debug!(purged, "forgot expired tokens"),
                    Err(error) => tracing::warn!(%error, "expired tokens could not be forgotten"),
                },
                _ = upkeep.tick() => metrics.run_upkeep(),
            }
        }
    });
}
