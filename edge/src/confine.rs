//! What the edge gives up once it runs: it needs hardly anything, so whoever breaks in has hardly anything.

use std::path::{Path, PathBuf};

/// What it still needs.
#[derive(Debug)]
pub struct Needs<'a> {
    /// Where its identity is kept, and renewed.
    pub state: &'a Path,
    /// Files that are read again when they change.
    pub files: [&'a Option<PathBuf>; 2],
    /// The port of an authority that certificates are fetched from.
    pub authority: Option<u16>,
}

/// Where the system says how names are found.
#[cfg(target_os = "linux")]
const RESOLVER: [&str; 5] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
];

/// The port that names are asked for at when the answer is long.
#[cfg(target_os = "linux")]
const DNS: u16 = 53;

/// Gives up the rest, as far as the system can; what came of it, in words.
#[cfg(not(target_os = "linux"))]
pub fn confine(_: &Needs<'_>) -> String {
    "not confined: that is done on Linux only".to_owned()
}

/// Gives up the rest, as far as the system can; what came of it, in words.
#[cfg(target_os = "linux")]
pub fn confine(needs: &Needs<'_>) -> String {
    use landlock::RulesetStatus::{FullyEnforced, NotEnforced, PartiallyEnforced};
    raise_file_limit();
    let privileges = match rustix::thread::set_no_new_privs(true) {
        Ok(()) => "no new privileges",
        Err(_) => "privileges as they were",
    };
    let rest = match restrict(needs) {
        Ok(FullyEnforced) => "no files but its own, no TCP connections",
        Ok(PartiallyEnforced) => {
            return format!(
                "confined to {privileges}, no files but its own, as far as this kernel can"
            );
        }
        Ok(NotEnforced) => return format!("confined to {privileges}: this kernel has no Landlock"),
        Err(_) => return format!("confined to {privileges}: Landlock failed"),
    };
    match needs.authority {
        None => format!("confined to {privileges}, {rest} to anywhere"),
        Some(port) => format!("confined to {privileges}, {rest} but to port {port} and for names"),
    }
}

/// Every viewer takes a file; the system's usual number is small, and the most it allows large.
#[cfg(target_os = "linux")]
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!("no more files than the system usually gives: {error}");
    }
}

#[cfg(target_os = "linux")]
fn restrict(needs: &Needs<'_>) -> Result<landlock::RulesetStatus, landlock::RulesetError> {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
        path_beneath_rules,
    };
    let abi = ABI::V5;
    // A file is replaced in its directory, so that is what is read.
    let folders = needs
        .files
        .into_iter()
        .flatten()
        .filter_map(|file| file.parent());
    let (resolver, ports) = match needs.authority {
        None => (Vec::new(), Vec::new()),
        Some(port) => (resolver(), vec![port, DNS]),
    };
    let connect = |port| Ok::<_, landlock::RulesetError>(NetPort::new(port, AccessNet::ConnectTcp));
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules([needs.state], AccessFs::from_all(abi)))?
        .add_rules(path_beneath_rules(folders, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(resolver, AccessFs::from_read(abi)))?
        .add_rules(ports.into_iter().map(connect))?;
    Ok(ruleset.restrict_self()?.ruleset)
}

/// What has to be read to find names. Such files are replaced as time goes by, so their folders count, unless those hold
/// much else.
#[cfg(target_os = "linux")]
fn resolver() -> Vec<PathBuf> {
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
    RESOLVER.into_iter().filter_map(real).collect()
}
