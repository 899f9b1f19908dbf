//! Commands for certificates and the certificate authority.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use sysmon_certs::{Authority, CertError, HostScope, HubState, PeerName, Role};
use sysmon_config::Failure;
use sysmon_config::time::format_span;

use super::args::{CaCommand, CertCommand};
use super::{Context, span_ms};

pub(crate) fn certificate(context: &Context, command: &CertCommand) -> Result<(), Failure> {
    let text = match command {
        CertCommand::List => list(context)?,
        CertCommand::Revoke { name, role } => revoke(context, name, *role)?,
        CertCommand::Issue {
            role,
            name,
            out,
            scope,
        } => issue(context, *role, (name, scope.of(*role)?), out)?,
    };
    Ok(sysmon_config::print(&text)?)
}

fn list(context: &Context) -> Result<String, Failure> {
    let register = context.state.register();
    let revoked = register.revoked().map_err(anyhow::Error::from)?;
    let now = context.clock.now().0.unsigned_abs();
    let mut text = format!("{:<24}{:<10}{:<20}STATE\n", "NAME", "ROLE", "EXPIRES");
    let issued = register.issued().map_err(anyhow::Error::from)?;
    for issued in issued.iter().filter(|issued| issued.expires_ms > now) {
        let state = if revoked.contains(&issued.serial) {
            "revoked"
        } else {
            "valid"
        };
        let expires = format!("in {}", format_span((issued.expires_ms - now) as i64));
        text += &format!(
            "{:<24}{:<10}{expires:<20}{state}\n",
            issued.name, issued.role
        );
    }
    Ok(text)
}

pub(crate) fn revoke(
    context: &Context,
    name: &PeerName,
    role: Option<Role>,
) -> Result<String, Failure> {
    let now = context.clock.system_time();
    let revoked = context.state.register().revoke(name, role, now);
    let count = match revoked.map_err(anyhow::Error::from)? {
        0 => {
            return Err(anyhow!(
                "{name} has no certificate that is valid; `sysmon-hub cert list` shows them"
            )
            .into());
        }
        1 => "1 certificate".to_owned(),
        count => format!("{count} certificates"),
    };
    context.audit("revoked", name.as_str(), &count);
    Ok(format!(
        "{count} of {name} revoked; a running hub closes their connections within a second\n"
    ))
}

fn issue(
    context: &Context,
    role: Role,
    (name, scope): (&PeerName, Option<HostScope>),
    out: &Path,
) -> Result<String, Failure> {
    if role == Role::Hub {
        return Err(Failure::Usage(anyhow!(
            "a hub creates its own identity; choose agent, operator, edge or gateway"
        )));
    }
    if out.join("key.pem").exists() {
        return Err(Failure::Usage(anyhow!(
            "{} holds an identity already; choose another --out or remove it",
            out.display()
        )));
    }
    let (state, now) = (&context.state, context.clock.system_time());
    let issued = state
        .authority(now)
        .and_then(|authority| {
            let scope = scope.as_ref();
            state.issue_scoped(&authority, role, name, scope, now, context.days())
        })
        .and_then(|identity| identity.save(out));
    issued.map_err(anyhow::Error::from)?;
    context.audit("issued", &format!("{role} {name}"), "with cert issue");
    Ok(format!(
        "identity of {role} {name} written to {}\n\
         copy the directory to the machine that uses it, and name it there with --state\n",
        out.display()
    ))
}

pub(crate) fn show(context: &Context) -> Result<(), Failure> {
    Ok(sysmon_config::print(&authority(
        context,
        &CaCommand::Show,
    )?)?)
}

/// Changes the authority, and shows it.
pub(crate) fn authority(context: &Context, command: &CaCommand) -> Result<String, Failure> {
    let (state, now) = (&context.state, context.clock.system_time());
    let (authority, done) = match command {
        CaCommand::Show => (state.existing_authority(), ""),
        CaCommand::Rotate => (
            state.rotate_authority(now),
            "new certificate authority created; a running hub uses it within a second\n\n",
        ),
        CaCommand::Retire { force } => {
            if !force {
                check_reissued(context)?;
            }
            (
                state.retire_authority(),
                "previous certificate authority retired; a running hub stops trusting it within a second\n\n",
            )
        }
    };
    let authority = authority.map_err(anyhow::Error::from)?;
    match command {
        CaCommand::Show => {}
        CaCommand::Rotate => context.audit("authority", "", "rotated"),
        CaCommand::Retire { .. } => context.audit("authority", "", "previous one retired"),
    }
    let text = describe(state, &authority, now).map_err(anyhow::Error::from)?;
    Ok(format!("{done}{text}"))
}

/// Refuses to retire the previous authority while peers would be locked out by that.
fn check_reissued(context: &Context) -> Result<(), Failure> {
    let (state, now) = (&context.state, context.clock.system_time());
    let missing = || {
        let authority = state.existing_authority()?;
        if authority.previous().is_none() {
            return Ok(Vec::new());
        }
        // The operator of this machine needs no connection: the authority is here.
        if state.existing_owner().is_ok() {
            state.owner_identity(&authority, now, context.days())?;
        }
        let (since, _) = authority.validity()?;
        state.register().not_reissued_since(since, now)
    };
    let missing = missing().map_err(|error: CertError| anyhow::Error::from(error))?;
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let others = match missing.len() {
        1 => String::new(),
        count => format!(" and {} more peers", count - 1),
    };
    Err(anyhow!(
        "{} {}{others} would be locked out, having no certificate of the new authority yet: wait until they have connected (`sysmon-hub ca show` lists them), or let them enrol again with `sysmon-hub ca retire --force`",
        first.role,
        first.name
    )
    .into())
}

fn describe(state: &HubState, authority: &Authority, now: SystemTime) -> Result<String, CertError> {
    let (since, until) = authority.validity()?;
    let span = |time: Result<Duration, _>| format_span(span_ms(time.unwrap_or_default()));
    let mut text = format!(
        "certificate authority created {} ago, valid for another {}\n",
        span(now.duration_since(since)),
        span(until.duration_since(now))
    );
    if authority.previous().is_none() {
        return Ok(text);
    }
    text += "the previous certificate authority is still trusted\n";
    let missing = state.register().not_reissued_since(since, now)?;
    if missing.is_empty() {
        text += "every peer has a certificate of the new one: `sysmon-hub ca retire` retires the previous one\n";
        return Ok(text);
    }
    text +=
        "peers that have not connected since, and whose certificates are of the previous one:\n";
    for issued in missing {
        text += &format!("  {} {}\n", issued.role, issued.name);
    }
    Ok(text)
}
