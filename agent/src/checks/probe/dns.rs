//! Looks up records, at the system's servers or one that is named.

use std::net::SocketAddr;

use hickory_resolver::Resolver;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RecordType};
use sysmon_config::check::Dns;

use super::{Attempt, add};

/// Asks for the records, and compares them with what is expected.
pub(super) async fn look_up(attempt: &mut Attempt<'_>, dns: &Dns) -> Result<(), String> {
    let server = match &dns.server {
        Some(server) => {
            let found = attempt.addresses(&server.host, server.port, false).await?;
            found.into_iter().next()
        }
        None => None,
    };
    // The time to find the server is not that of its answer.
    attempt.phases.dns = None;
    let kind: RecordType = dns
        .kind
        .parse()
        .map_err(|_| format!("{} is not a type of record", dns.kind))?;
    let mut name = Name::from_utf8(&dns.name).map_err(|error| error.to_string())?;
    // No domain of the system is added to it.
    name.set_fqdn(true);
    let resolver = resolver(server, attempt)?;
    let start = attempt.environment.clock.instant();
    let answer = resolver.lookup(name, kind).await;
    let took = attempt.environment.clock.instant() - start;
    let answer = answer.map_err(|error| match error.is_no_records_found() {
        true => format!("{} has no record {}", dns.name, dns.kind),
        false => format!("no answer: {error}"),
    })?;
    add(&mut attempt.phases.dns, took);
    let mut records = answer
        .answers()
        .iter()
        .filter(|record| record.record_type() == kind)
        .map(|record| record.data.to_string())
        .peekable();
    if records.peek().is_none() {
        return Err(format!("{} has no record {}", dns.name, dns.kind));
    }
    match &dns.expect {
        Some(part) if !records.any(|record| record.contains(part)) => {
            Err(format!("no record {} contains {part:?}", dns.kind))
        }
        _ => Ok(()),
    }
}

fn resolver(server: Option<SocketAddr>, attempt: &Attempt<'_>) -> Result<TokioResolver, String> {
    let mut builder = match server {
        Some(server) => {
            let mut named = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut named.connections {
                connection.port = server.port();
            }
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![named]);
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
        None => Resolver::builder_tokio()
            .map_err(|error| format!("this system has no DNS server: {error}"))?,
    };
    let options = builder.options_mut();
    // Every try asks anew.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = attempt.within / 2;
    options.attempts = 1;
    builder.build().map_err(|error| error.to_string())
}
