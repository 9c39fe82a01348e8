//! `griot demo-live`: an encoder for those who have none.

use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::publish_clip::{Clip, Outcome, Target, publish};
use super::{demo, output};
use crate::app::{Addresses, Config, Rooms, Signals};
use crate::base::Secret;

#[derive(Debug, Args)]
pub(super) struct DemoLive {
    /// Ends after so many seconds; otherwise on Ctrl-C.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Another server than this machine's, as OBS is told it (`rtmp://host/live`).
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Another stream key than that of the member `demo`. Other processes of this machine can see it.
    #[arg(long)]
    key: Option<String>,
}

pub(super) async fn demo_live(config: &Config, command: DemoLive) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("the operating system gives no signals")?;
    let (target, page) = target(config, &command).await?;
    let clip = Clip::embedded()?;
    eprintln!("publishing to {}", target.url());
    if let Some(page) = &page {
        eprintln!("watch at {page}");
    }
    match command.seconds {
        Some(seconds) => eprintln!("ends by itself after {seconds} s"),
        None => eprintln!("Ctrl-C ends it"),
    }
    let stop = async {
        match command.seconds.map(Duration::from_secs) {
            Some(duration) => tokio::select! {
                _ = signals.next() => {}
                () = tokio::time::sleep(duration) => {}
            },
            None => drop(signals.next().await),
        }
    };
    let Outcome {
        pictures,
        duration_s,
    } = publish(&clip, &target, stop).await?;
    output::json(&serde_json::json!({ "pictures": pictures, "seconds": duration_s }))
}

/// Where to publish, and the page to watch it on when it is our own.
async fn target(config: &Config, command: &DemoLive) -> anyhow::Result<(Target, Option<String>)> {
    if let (Some(server), Some(key)) = (&command.server, &command.key) {
        return Ok((Target::parse(server, Secret::new(key))?, None));
    }
    let rooms = Rooms::open(config, &mut |_| {}).await?;
    let key = match &command.key {
        Some(key) => Ok(Secret::new(key)),
        None => demo::demo_stream_key(&rooms).await,
    };
    let addresses: Addresses = demo::addresses(config, &rooms.folder);
    rooms.close().await;
    let local = addresses.local_rtmp_url();
    let server = command.server.as_deref().unwrap_or(&local);
    let page = command.server.is_none().then(|| addresses.page_url(config));
    Ok((Target::parse(server, key?)?, page))
}
