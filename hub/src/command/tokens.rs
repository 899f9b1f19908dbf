//! Commands for join tokens.

use anyhow::anyhow;
use sysmon_certs::{Role, TokenTerms};
use sysmon_config::time::format_span;
use sysmon_config::{Failure, host_name};
use sysmon_files::write_private;

use super::args::TokenCommand;
use super::install::Release;
use super::options::options;
use super::{Context, span_ms};

pub(crate) fn change(context: &Context, command: &TokenCommand) -> Result<String, Failure> {
    match command {
        TokenCommand::Create {
            role,
            name,
            ttl,
            uses,
            scope,
            ..
        } => {
            let scope = scope.of(*role)?;
            let terms = TokenTerms {
                role: *role,
                name: name.as_ref(),
                scope: scope.as_ref(),
                uses: *uses,
                ttl: *ttl,
            };
            create(context, &terms)
        }
        TokenCommand::List => text_of_list(context),
        TokenCommand::Revoke { id } => revoke(context, id),
    }
}

pub(crate) fn list(context: &Context) -> Result<(), Failure> {
    Ok(sysmon_config::print(&text_of_list(context)?)?)
}

/// The output of [`change`] for the user: with `--out`, the token is in that file and not in the output; with a release,
/// it is in a line that installs this.
pub(crate) fn shown(
    command: &TokenCommand,
    release: Option<&Release>,
    text: String,
) -> Result<String, Failure> {
    let TokenCommand::Create { out, role, .. } = command else {
        return Ok(text);
    };
    let token = text.split_whitespace().last().unwrap_or_default();
    let Some(path) = out else {
        let Some(release) = release else {
            return Ok(text);
        };
        let mut words = text.split_whitespace().rev().skip(1);
        let hub = words.next().unwrap_or_default();
        let what = text.lines().next().unwrap_or_default();
        let line = release.line(*role, hub, token)?;
        return Ok(format!(
            "{what}\npaste this into a shell of the new machine:\n\n  {line}\n"
        ));
    };
    write_private(path, format!("{token}\n")).map_err(anyhow::Error::from)?;
    let what = text.lines().next().unwrap_or_default();
    Ok(format!("{what}\nwritten to {}\n", path.display()))
}

/// Creates a token; its text is the last word of the output.
fn create(context: &Context, terms: &TokenTerms<'_>) -> Result<String, Failure> {
    let &TokenTerms {
        role,
        name,
        uses,
        ttl,
        ..
    } = terms;
    if uses > 1 && name.is_some() {
        return Err(Failure::Usage(anyhow!(
            "a name belongs to one machine: leave out --name or --uses"
        )));
    }
    let join = match role {
        Role::Agent => "sysmon-agent join",
        Role::Operator => "sysmon-tui join",
        Role::Edge => "sysmon-edge join",
        // A Collector presents the certificate; the agent's program only fetches and renews it.
        Role::Gateway => "sysmon-agent join --once --state sysmon-gateway",
        Role::Hub => {
            return Err(Failure::Usage(anyhow!(
                "a hub creates its own identity; choose agent, operator, edge or gateway"
            )));
        }
    };
    let (state, now) = (&context.state, context.clock.system_time());
    let authority = state.authority(now).map_err(anyhow::Error::from)?;
    let fingerprint = authority.fingerprint().map_err(anyhow::Error::from)?;
    let created = state.tokens().create_for(fingerprint, terms, now);
    let (token, grant) = created.map_err(anyhow::Error::from)?;
    let who = match name {
        Some(name) => format!("{role} {name}"),
        None => format!("any {role}"),
    };
    context.audit("token", &who, &format!("{} created", grant.id()));
    let port = match state.address() {
        Ok(address) => address.port(),
        Err(_) => options(context, &context.config)?.listen.port(),
    };
    let (host, span) = (host_name(), format_span(span_ms(ttl)));
    let often = match uses {
        1 => "once".to_owned(),
        uses => format!("{uses} times"),
    };
    Ok(format!(
        "token {} for role {role}: works {often} and expires after {span}\n\
         run this on the machine that joins:\n\n  \
         {join} {host}:{port} {token}\n",
        grant.id()
    ))
}

fn text_of_list(context: &Context) -> Result<String, Failure> {
    let now = context.clock.system_time();
    let mut text = format!(
        "{:<10}{:<10}{:<24}{:<6}EXPIRES\n",
        "TOKEN", "ROLE", "NAME", "USES"
    );
    for grant in context.state.tokens().list().map_err(anyhow::Error::from)? {
        let role = grant.role().map_or("?".to_owned(), |role| role.to_string());
        let name = grant
            .name()
            .map_or("any".to_owned(), |name| name.to_string());
        let left = grant.expires().duration_since(now).unwrap_or_default();
        let left = match span_ms(left) {
            0 => "expired".to_owned(),
            ms => format!("in {}", format_span(ms)),
        };
        text += &format!(
            "{:<10}{role:<10}{name:<24}{:<6}{left}\n",
            grant.id(),
            grant.uses()
        );
    }
    Ok(text)
}

fn revoke(context: &Context, id: &str) -> Result<String, Failure> {
    let revoked = context.state.tokens().revoke(id);
    if !revoked.map_err(anyhow::Error::from)? {
        return Err(anyhow!("no token {id:?}; `sysmon-hub token list` shows the tokens").into());
    }
    context.audit("token", "", &format!("{id} revoked"));
    Ok(format!("token {id} revoked\n"))
}
