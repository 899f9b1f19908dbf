//! `sysmon-tui snapshot`.

use anyhow::anyhow;
use sysmon_config::Failure;
use sysmon_screens::{snapshot as screens, svg, text};
use sysmon_wire::{Label, UnixMs};

use super::Invocation;
use super::args::SnapshotArgs;
use super::show::options;
use super::target::Target;

pub(crate) fn snapshot(invocation: &Invocation, args: &SnapshotArgs) -> Result<(), Failure> {
    let at = args.at.as_deref().map(|text| invocation.moment(text));
    let at = at.transpose()?;
    let target = Target::find(invocation)?;
    let mut fleet = target.ask(async |client| client.fleet(at).await)?;
    if let Some(name) = &args.host {
        let names = fleet.hosts.iter().map(|(line, _)| line.name.to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        if !fleet.retain_host(name) {
            return Err(anyhow!("no host {name:?}; hosts: {names}").into());
        }
    }
    let text = if args.json {
        format!("{}\n", fleet.to_json())
    } else if args.svg || args.host.is_some() {
        screen(invocation, args, at, &target)?
    } else {
        fleet.to_table()
    };
    Ok(sysmon_config::print(&text)?)
}

/// The screen as the terminal would draw it, as SVG or text.
fn screen(
    invocation: &Invocation,
    args: &SnapshotArgs,
    at: Option<UnixMs>,
    target: &Target,
) -> Result<String, Failure> {
    let host = args.host.as_deref().map(Label::new);
    let options = options(invocation)?;
    let paper = options.theme.into();
    let buffer = target.with_connector(async |connector| {
        let (hub, size, now) = (&target.hub, args.size, invocation.clock.now());
        Ok(screens::screen(connector, hub, host.as_ref(), at, size, options, now).await?)
    })?;
    if args.svg {
        let title = args.host.as_deref().unwrap_or("the fleet");
        return Ok(svg::svg(&buffer, &format!("sysmon: {title}"), paper));
    }
    Ok(text::plain(&buffer))
}
