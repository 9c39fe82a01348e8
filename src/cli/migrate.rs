//! `griot migrate`

use crate::app::{Config, Rooms};
use crate::store::Migrating;

pub(super) async fn migrate(config: &Config) -> anyhow::Result<()> {
    let mut ran = 0_usize;
    let rooms = Rooms::open(config, &mut |step| {
        ran += 1;
        eprintln!("{}", progress_line(&step));
    })
    .await?;
    rooms.close().await;
    eprintln!("database up to date ({ran} migrations ran)");
    Ok(())
}

fn progress_line(step: &Migrating) -> String {
    format!(
        "migration {} of {}: {} {}",
        step.step, step.steps, step.version, step.name
    )
}
