//! Commands for edges: signing the key of one that is paired, listing and removing them.

use anyhow::{Context as _, anyhow};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sysmon_certs::{CertError, PeerName, Role};
use sysmon_config::Failure;
use sysmon_config::time::format_span;
use sysmon_hub::edges::{PairedEdge, PairedEdges};

use super::Context;
use super::args::EdgeCommand;

/// What signing an edge's key returns.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Signed {
    pub(crate) name: String,
    pub(crate) authority: String,
    pub(crate) certificate: String,
}

/// Signing and removing change the state: they are performed by the running hub.
pub(crate) fn change(context: &Context, command: &EdgeCommand) -> Result<String, Failure> {
    match command {
        EdgeCommand::Sign {
            address,
            name,
            request,
            named,
        } => sign(context, address, name, request, *named),
        EdgeCommand::Remove { edge } => remove(context, edge),
        EdgeCommand::Add { .. } | EdgeCommand::List => {
            Err(Failure::Usage(anyhow!("this command changes nothing")))
        }
    }
}

fn sign(
    context: &Context,
    address: &str,
    name: &PeerName,
    request: &str,
    named: bool,
) -> Result<String, Failure> {
    let (state, now) = (&context.state, context.clock.system_time());
    let request = HEXLOWER
        .decode(request.as_bytes())
        .context("not a request")?;
    let register = state.register();
    let is_taken = |name: &PeerName| {
        let (issued, revoked) = (register.issued()?, register.revoked()?);
        let now_ms = context.clock.now().0.unsigned_abs();
        Ok::<_, CertError>(issued.iter().any(|issued| {
            issued.role == Role::Edge.to_string()
                && issued.name.eq_ignore_ascii_case(name.as_str())
                && issued.expires_ms > now_ms
                && !revoked.contains(&issued.serial)
        }))
    };
    if !named && is_taken(name).map_err(anyhow::Error::from)? {
        return Err(anyhow!(
            "there is an edge {name} already: choose another name with --name, or replace it with --name {name}"
        )
        .into());
    }
    let authority = state.authority(now).map_err(anyhow::Error::from)?;
    let days = context.days();
    let signed = authority
        .sign(&request, Role::Edge, name, now, days)
        .and_then(|signed| {
            register.record_signed(&signed, Role::Edge, name, now, days)?;
            Ok(signed)
        })
        .map_err(anyhow::Error::from)?;
    let added = PairedEdges::new(state.dir()).add(PairedEdge {
        name: name.to_string(),
        address: address.to_owned(),
        added_ms: context.clock.now().0,
    });
    added.map_err(anyhow::Error::from)?;
    context.audit("paired", &format!("edge {name}"), address);
    let signed = Signed {
        name: name.to_string(),
        authority: signed.authority_pem,
        certificate: signed.certificate_pem,
    };
    Ok(serde_json::to_string(&signed).map_err(anyhow::Error::from)?)
}

fn remove(context: &Context, which: &str) -> Result<String, Failure> {
    let removed = PairedEdges::new(context.state.dir()).remove(which);
    let Some(edge) = removed.map_err(anyhow::Error::from)? else {
        return Err(anyhow!(
            "no paired edge {which:?}; `sysmon-hub edge list` shows them, and those in [hub] edges are removed there"
        )
        .into());
    };
    let name: PeerName = edge.name.parse().map_err(anyhow::Error::from)?;
    let now = context.clock.system_time();
    let revoked = context
        .state
        .register()
        .revoke(&name, Some(Role::Edge), now);
    revoked.map_err(anyhow::Error::from)?;
    context.audit("revoked", &format!("edge {name}"), "removed");
    Ok(format!(
        "edge {name} at {} removed and its certificate revoked; its page stays empty until it is paired again\n",
        edge.address
    ))
}

pub(crate) fn list(context: &Context) -> Result<(), Failure> {
    let edges = PairedEdges::new(context.state.dir()).load();
    let now = context.clock.now();
    let mut text = format!("{:<24}{:<32}ADDED\n", "NAME", "ADDRESS");
    for edge in edges.map_err(anyhow::Error::from)? {
        let ago = format_span((now.0 - edge.added_ms).max(0));
        text += &format!("{:<24}{:<32}paired {ago} ago\n", edge.name, edge.address);
    }
    for address in &context.config.hub.edges {
        text += &format!(
            "{:<24}{:<32}in the configuration\n",
            "",
            address.to_string()
        );
    }
    Ok(sysmon_config::print(&text)?)
}
