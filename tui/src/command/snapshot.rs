//! `sysmon-tui snapshot`.

use std::time::Duration;

use anyhow::anyhow;
use sysmon_client::{Client, ClientError, FleetSnapshot, summary_value};
use sysmon_config::{Config, Failure};
use sysmon_link::Connector;
use sysmon_screens::state::fleet::RECEIVED;
use sysmon_screens::{shot, svg, text};
use sysmon_wire::message::{HostState, HostTick};
use sysmon_wire::{Label, UnixMs};

use super::args::{Args, SnapshotArgs};
use super::show::options;
use super::target::{Target, answer, moment};

/// How long a hub inside has to show its first rows.
const FIRST_ROWS_WITHIN: Duration = Duration::from_secs(5);

/// How long rates are waited for: a little longer than the second row takes.
const FIRST_RATES_WITHIN: Duration = Duration::from_millis(2_200);

pub(crate) fn snapshot(args: &Args, config: &Config, asked: &SnapshotArgs) -> Result<(), Failure> {
    let at = asked.at.as_deref().map(moment).transpose()?;
    let target = Target::find(args, config)?;
    let mut picture = answer(&target, async |connector| match &target.inside {
        None => {
            Client::connect(connector, &target.hub)
                .await?
                .fleet(at)
                .await
        }
        Some(_) => {
            first_picture(
                connector,
                &target.hub,
                usize::from(args.demo.unwrap_or(0)) + 1,
                at,
            )
            .await
        }
    })?;
    if let Some(name) = &asked.host {
        let names: Vec<_> = picture
            .hosts
            .iter()
            .map(|(line, _)| line.name.to_string())
            .collect();
        if !picture.retain_host(name) {
            return Err(
                anyhow!("there is no host {name:?}; there are: {}", names.join(", ")).into(),
            );
        }
    }
    let text = if asked.json {
        format!("{}\n", picture.to_json())
    } else if asked.svg || asked.host.is_some() {
        screen(args, config, asked, at, &target)?
    } else {
        picture.to_table()
    };
    Ok(sysmon_config::print(&text)?)
}

/// The first picture of a hub that just started in which every host is live, with rates.
pub(crate) async fn first_picture(
    connector: &Connector,
    hub: &str,
    hosts: usize,
    at: Option<UnixMs>,
) -> Result<FleetSnapshot, ClientError> {
    let start = tokio::time::Instant::now();
    let is_there = |picture: &FleetSnapshot| {
        let live = picture
            .hosts
            .iter()
            .filter(|(_, tick)| tick.state == HostState::Live);
        // Rates need two rows, and a host without a network never has any.
        let is_rated = |tick: &HostTick| summary_value(tick, RECEIVED).is_some();
        let patient = start.elapsed() < FIRST_RATES_WITHIN;
        live.filter(|(_, tick)| !patient || is_rated(tick)).count() >= hosts
    };
    let client = Client::connect(connector, hub).await?;
    loop {
        let picture = client.fleet(None).await?;
        if is_there(&picture) || start.elapsed() > FIRST_ROWS_WITHIN {
            return match at {
                Some(_) => client.fleet(at).await,
                None => Ok(picture),
            };
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn screen(
    args: &Args,
    config: &Config,
    asked: &SnapshotArgs,
    at: Option<UnixMs>,
    target: &Target,
) -> Result<String, Failure> {
    let host = asked.host.as_deref().map(Label::new);
    let options = options(args, config)?;
    let buffer = answer(target, async |connector| {
        Ok(shot::screen(
            connector,
            &target.hub,
            host.as_ref(),
            at,
            asked.size,
            options.clone(),
        )
        .await?)
    })?;
    if asked.svg {
        let what = asked.host.as_deref().unwrap_or("the fleet");
        return Ok(svg::svg(&buffer, &format!("sysmon: {what}")));
    }
    Ok(text::plain(&buffer))
}
