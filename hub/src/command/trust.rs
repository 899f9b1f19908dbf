//! Who may come in: tokens to join with, and certificates.

use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use sysmon_certs::{Authority, CertError, HubState, PeerName, Role};
use sysmon_config::time::format_span;
use sysmon_config::{Config, Failure, host_name};
use sysmon_hub::audit::{Audit, Entry};
use sysmon_wire::UnixMs;

use super::args::{Args, CaCommand, TokenCommand};
use super::options::{days, options};

pub(crate) fn token(
    args: &Args,
    config: &Config,
    state: &HubState,
    command: &TokenCommand,
) -> Result<(), Failure> {
    let tokens = state.tokens();
    let now = SystemTime::now();
    let text = match command {
        TokenCommand::Create { role, name, ttl } => {
            let program = match role {
                Role::Agent => "sysmon-agent",
                Role::Operator => "sysmon-tui",
                Role::Edge => "sysmon-edge",
                Role::Hub => {
                    return Err(Failure::Usage(anyhow!(
                        "a hub makes its own identity: choose agent, operator or edge"
                    )));
                }
            };
            let authority = state.authority(now).map_err(anyhow::Error::from)?;
            let print = authority.fingerprint().map_err(anyhow::Error::from)?;
            let created = tokens.create(print, *role, name.as_ref(), *ttl, now);
            let (token, grant) = created.map_err(anyhow::Error::from)?;
            let whose = match name {
                Some(name) => format!("{role} {name}"),
                None => format!("any {role}"),
            };
            note(state, "token", &whose, &format!("{} made", grant.id()));
            let port = match state.address() {
                Ok(address) => address.port(),
                Err(_) => options(args, config, state)?.listen.port(),
            };
            let (host, span) = (host_name(), format_span(ttl.as_millis() as i64));
            format!(
                "token {} for an identity of role {role}, good once, for {span}; where it is to be used, run\n\n  \
                 {program} join {host}:{port} {token}\n",
                grant.id()
            )
        }
        TokenCommand::List => {
            let mut text = format!("{:<10}{:<10}{:<24}EXPIRES\n", "TOKEN", "ROLE", "NAME");
            for grant in tokens.list().map_err(anyhow::Error::from)? {
                let role = grant.role().map_or("?".to_owned(), |role| role.to_string());
                let name = grant
                    .name()
                    .map_or("any".to_owned(), |name| name.to_string());
                let left = grant.expires().duration_since(now).unwrap_or_default();
                let left = match left.as_millis() {
                    0 => "expired".to_owned(),
                    ms => format!("in {}", format_span(ms as i64)),
                };
                text.push_str(&format!("{:<10}{role:<10}{name:<24}{left}\n", grant.id()));
            }
            text
        }
        TokenCommand::Revoke { id } => {
            if !tokens.revoke(id).map_err(anyhow::Error::from)? {
                return Err(
                    anyhow!("there is no token {id:?}: see `sysmon-hub token list`").into(),
                );
            }
            note(state, "token", "", &format!("{id} revoked"));
            format!("token {id} is useless now\n")
        }
    };
    Ok(sysmon_config::print(&text)?)
}

/// Notes what was done here beside what the running hub does.
fn note(state: &HubState, event: &str, who: &str, what: &str) {
    let now = UnixMs::from_system(SystemTime::now());
    Audit::new(state.dir()).note(&Entry::new(now, event, &who).what(what));
}

pub(crate) fn list(state: &HubState) -> Result<(), Failure> {
    let register = state.register();
    let revoked = register.revoked().map_err(anyhow::Error::from)?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64;
    let mut text = format!("{:<24}{:<10}{:<20}STATE\n", "NAME", "ROLE", "EXPIRES");
    for issued in register.issued().map_err(anyhow::Error::from)? {
        if issued.expires_ms <= now {
            continue;
        }
        let state = if revoked.contains(&issued.serial) {
            "revoked"
        } else {
            "good"
        };
        let expires = format!("in {}", format_span((issued.expires_ms - now) as i64));
        text.push_str(&format!(
            "{:<24}{:<10}{expires:<20}{state}\n",
            issued.name, issued.role
        ));
    }
    Ok(sysmon_config::print(&text)?)
}

pub(crate) fn revoke(state: &HubState, name: &PeerName) -> Result<(), Failure> {
    let count = state.register().revoke(name).map_err(anyhow::Error::from)?;
    if count == 0 {
        return Err(
            anyhow!("{name} has no certificate that is good: see `sysmon-hub cert list`").into(),
        );
    }
    note(
        state,
        "revoked",
        name.as_str(),
        &format!("{count} certificates"),
    );
    let what = if count == 1 {
        "certificate"
    } else {
        "certificates"
    };
    Ok(sysmon_config::print(&format!(
        "{count} {what} of {name} revoked; a running hub ends their connections within a second\n"
    ))?)
}

pub(crate) fn authority(state: &HubState, command: &CaCommand) -> Result<(), Failure> {
    let now = SystemTime::now();
    let (authority, done) = match command {
        CaCommand::Show => (state.existing_authority(), ""),
        CaCommand::Rotate => (
            state.rotate_authority(now),
            "a new authority is in place; a running hub takes it within a second\n\n",
        ),
        CaCommand::Retire => (
            state.retire_authority(),
            "the older authority is trusted no more; a running hub takes that within a second\n\n",
        ),
    };
    let authority = authority.map_err(anyhow::Error::from)?;
    match command {
        CaCommand::Show => {}
        CaCommand::Rotate => note(state, "authority", "", "a new one is in place"),
        CaCommand::Retire => note(state, "authority", "", "the one before is trusted no more"),
    }
    let text = about(state, &authority, now);
    Ok(sysmon_config::print(&format!(
        "{done}{}",
        text.map_err(anyhow::Error::from)?
    ))?)
}

/// The authority, and those whose newest certificate is of the one before.
fn about(state: &HubState, authority: &Authority, now: SystemTime) -> Result<String, CertError> {
    let (since, until) = authority.validity()?;
    let span = |time: Result<Duration, _>| {
        let time: Duration = time.unwrap_or_default();
        format_span(time.as_millis() as i64)
    };
    let mut text = format!(
        "authority made {} ago, good for {}\n",
        span(now.duration_since(since)),
        span(until.duration_since(now))
    );
    if authority.previous().is_none() {
        return Ok(text);
    }
    let missing = state.register().not_reissued_since(since, now)?;
    text.push_str("the authority before it is still trusted\n");
    match missing.as_slice() {
        [] => text.push_str(
            "everybody has a certificate of the new one: `sysmon-hub ca retire` ends the old one\n",
        ),
        missing => {
            text.push_str("certificates of the old one, of those who have not been here since:\n");
            for issued in missing {
                text.push_str(&format!("  {} {}\n", issued.role, issued.name));
            }
        }
    }
    Ok(text)
}

pub(crate) fn issue(
    config: &Config,
    state: &HubState,
    role: Role,
    name: &PeerName,
    out: &std::path::Path,
) -> Result<(), Failure> {
    if role == Role::Hub {
        return Err(Failure::Usage(anyhow!(
            "a hub makes its own identity: choose agent, operator or edge"
        )));
    }
    if out.join("key.pem").exists() {
        return Err(Failure::Usage(anyhow!(
            "{} holds an identity already: choose another --out, or remove it",
            out.display()
        )));
    }
    let issued = state
        .authority(SystemTime::now())
        .and_then(|authority| state.issue(&authority, role, name, SystemTime::now(), days(config)))
        .and_then(|identity| identity.save(out));
    issued.map_err(anyhow::Error::from)?;
    note(state, "issued", &format!("{role} {name}"), "by hand");
    let text = format!(
        "identity of {role} {name} written to {}\ncopy the directory to where it is used and name it with --state\n",
        out.display()
    );
    Ok(sysmon_config::print(&text)?)
}
