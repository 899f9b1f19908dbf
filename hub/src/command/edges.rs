//! Commands for edges: pairing by dialling out, listing and removing them.

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sysmon_certs::{CertError, PairingCode, PeerName, Role};
use sysmon_config::time::format_span;
use sysmon_config::{Failure, HubAddress, runtime};
use sysmon_hub::edges::{PairedEdge, PairedEdges};
use sysmon_link::Pairing;

use super::args::{Command, EdgeCommand};
use super::{Context, control};

/// A code and the line's end.
const CODE_BYTES_MAX: u64 = 200;

/// What signing an edge's key returns.
#[derive(Debug, Serialize, Deserialize)]
struct Signed {
    name: String,
    authority: String,
    certificate: String,
}

pub(crate) fn edge(context: &Context, command: &EdgeCommand) -> Result<(), Failure> {
    let text = match command {
        EdgeCommand::Add {
            address,
            name,
            code_file,
        } => add(context, address, name.as_ref(), code_file.as_deref())?,
        _ => list(context)?,
    };
    Ok(sysmon_config::print(&text)?)
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

fn add(
    context: &Context,
    address: &HubAddress,
    name: Option<&PeerName>,
    code_file: Option<&Path>,
) -> Result<String, Failure> {
    let address = address.to_string();
    let code = read_code(&address, code_file)?;
    let name = runtime()?.block_on(async {
        let pairing = Pairing::connect(&address, &code).await;
        let pairing = pairing.map_err(anyhow::Error::from)?;
        let signed = match order_signing(context, &address, name, &pairing) {
            Ok(signed) => signed,
            Err(failure) => {
                let (Failure::Usage(error) | Failure::Failed(error)) = &failure;
                pairing.refuse(&error.to_string()).await;
                return Err(failure);
            }
        };
        let hub = context.hub_name();
        let granted = pairing.grant(hub.as_str(), &signed.authority, &signed.certificate);
        if let Err(error) = granted.await {
            let edge = signed.name.clone();
            let arguments = ["edge", "remove", "--", &edge].map(ToOwned::to_owned);
            let command = Command::Edge(EdgeCommand::Remove { edge });
            control::order(context, &command, arguments.to_vec())?;
            return Err(anyhow!(
                "the edge did not confirm that it saved its identity ({error}): pair it again"
            )
            .into());
        }
        Ok::<_, Failure>(signed.name)
    })?;
    let mut text = format!(
        "edge {name} at {address} paired; the hub connects to it once `sysmon-edge` runs there\n"
    );
    if context.config.hub.share.is_empty() {
        text += "no host is shared yet: set share in [hub], for example share = [\"*\"]\n";
    }
    Ok(text)
}

fn read_code(address: &str, code_file: Option<&Path>) -> Result<PairingCode, Failure> {
    let mut text = String::new();
    match code_file {
        Some(path) => {
            text = sysmon_files::read_private(path).map_err(anyhow::Error::from)?;
        }
        None => {
            let mut prompt = std::io::stderr();
            let _ = write!(
                prompt,
                "pairing code that `sysmon-edge pair` shows at {address}: "
            );
            let _ = prompt.flush();
            let input = std::io::Read::take(std::io::stdin(), CODE_BYTES_MAX);
            let read = std::io::BufReader::new(input).read_line(&mut text);
            read.context("cannot read the pairing code")?;
        }
    }
    let code = text.parse().map_err(anyhow::Error::from);
    code.map_err(Failure::Usage)
}

fn order_signing(
    context: &Context,
    address: &str,
    name: Option<&PeerName>,
    pairing: &Pairing,
) -> Result<Signed, Failure> {
    let wanted = match name {
        Some(name) => name.clone(),
        None => PeerName::nearest(pairing.offer.name.as_str()),
    };
    let request = HEXLOWER.encode(&pairing.offer.request.0);
    let mut arguments = vec!["edge", "sign"];
    arguments.extend(name.map(|_| "--named"));
    arguments.extend(["--", address, wanted.as_str(), &request]);
    let arguments: Vec<String> = arguments.into_iter().map(ToOwned::to_owned).collect();
    let command = Command::Edge(EdgeCommand::Sign {
        address: address.to_owned(),
        named: name.is_some(),
        name: wanted,
        request,
    });
    let answer = control::order(context, &command, arguments)?;
    Ok(serde_json::from_str(&answer).context("the running hub's answer is not understood")?)
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

fn list(context: &Context) -> Result<String, Failure> {
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
    Ok(text)
}
