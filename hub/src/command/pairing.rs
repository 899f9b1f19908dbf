//! `sysmon-hub edge add`: dials an edge, checks it by its code, and has the running hub sign its key.

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use data_encoding::HEXLOWER;
use sysmon_certs::{PairingCode, PeerName};
use sysmon_config::{Failure, HubAddress, runtime};
use sysmon_link::Pairing;

use super::args::{Command, EdgeCommand};
use super::edges::Signed;
use super::{Context, control};

/// A code and the line's end.
const CODE_BYTES_MAX: u64 = 200;

pub(crate) fn add(
    context: &Context,
    address: &HubAddress,
    name: Option<&PeerName>,
    code_file: Option<&Path>,
) -> Result<(), Failure> {
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
    Ok(sysmon_config::print(&text)?)
}

fn read_code(address: &str, code_file: Option<&Path>) -> Result<PairingCode, Failure> {
    let mut text = String::new();
    match code_file {
        Some(path) => {
            text = sysmon_files::read_secret(path).map_err(anyhow::Error::from)?;
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
