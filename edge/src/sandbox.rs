//! Privileges that the edge drops once it runs: a compromised edge finds hardly any left.

use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Allowed<'a> {
    /// Directory of the identity, writable because certificates are renewed.
    pub state: &'a Path,
    pub files: [&'a Option<PathBuf>; 2],
    pub acme_port: Option<u16>,
}

#[cfg(target_os = "linux")]
const RESOLVER_FILES: [&str; 5] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
];

/// Name servers send long responses over TCP.
#[cfg(target_os = "linux")]
const DNS_PORT: u16 = 53;

#[cfg(not(target_os = "linux"))]
pub fn enter(_: &Allowed<'_>) {
    tracing::info!("no sandbox: supported on Linux only");
}

/// Drops privileges, files and TCP connections (Landlock), as far as the kernel can; logs the result.
#[cfg(target_os = "linux")]
pub fn enter(allowed: &Allowed<'_>) {
    use landlock::RulesetStatus::{FullyEnforced, NotEnforced, PartiallyEnforced};
    raise_file_limit();
    let no_new_privileges = rustix::thread::set_no_new_privs(true).is_ok();
    let landlock = match restrict(allowed) {
        Ok(FullyEnforced) => "enforced",
        Ok(PartiallyEnforced) => "partially enforced, the kernel is too old for all of it",
        Ok(NotEnforced) => "not supported by this kernel",
        Err(_) => "failed",
    };
    let tcp_ports = allowed.acme_port.map(|port| vec![port, DNS_PORT]);
    let tcp_ports = tcp_ports.unwrap_or_default();
    tracing::info!(no_new_privileges, landlock, ?tcp_ports, "sandbox entered");
}

/// Every viewer needs a file, and the usual soft limit is far below the hard one.
#[cfg(target_os = "linux")]
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the file limit");
    }
}

#[cfg(target_os = "linux")]
fn restrict(allowed: &Allowed<'_>) -> Result<landlock::RulesetStatus, landlock::RulesetError> {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
        path_beneath_rules,
    };
    let abi = ABI::V5;
    // A renewed file is another inode in the same directory, so the directory is allowed.
    let files = allowed.files.into_iter().flatten();
    let folders = files.filter_map(|file| file.parent());
    let (resolver, ports) = match allowed.acme_port {
        None => (Vec::new(), Vec::new()),
        Some(port) => (resolver_paths(), vec![port, DNS_PORT]),
    };
    let connect = |port| Ok::<_, landlock::RulesetError>(NetPort::new(port, AccessNet::ConnectTcp));
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules([allowed.state], AccessFs::from_all(abi)))?
        .add_rules(path_beneath_rules(folders, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(resolver, AccessFs::from_read(abi)))?
        .add_rules(ports.into_iter().map(connect))?;
    Ok(ruleset.restrict_self()?.ruleset)
}

/// What name resolution reads. These files are replaced now and then, so their directories are allowed, unless a
/// directory contains much else.
#[cfg(target_os = "linux")]
fn resolver_paths() -> Vec<PathBuf> {
    let real = |path: &str| {
        let real = std::fs::canonicalize(path).ok()?;
        let is_broad = |folder: &Path| {
            ["/", "/run", "/nix/store"]
                .iter()
                .any(|broad| folder == Path::new(broad))
        };
        let folder = real.parent().filter(|folder| !is_broad(folder));
        Some(folder.map_or_else(|| real.clone(), Path::to_owned))
    };
    RESOLVER_FILES.into_iter().filter_map(real).collect()
}
