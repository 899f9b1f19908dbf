//! `token create --install`: the line that installs a release on a new machine, enrols it and starts its service.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use sysmon_certs::Role;
use sysmon_config::{Failure, is_loopback_host};
use sysmon_hub::VERSION;

use super::Context;
use super::args::{Command, TokenCommand};

/// Longest time for the list of checksums.
const FETCH_MAX: Duration = Duration::from_secs(20);

/// A release has about thirty files.
const SUMS_BYTES_MAX: u64 = 64 << 10;

/// The system that this hub was compiled for.
const TARGET: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-gnu"
} else {
    "x86_64-unknown-linux-gnu"
};

/// A tarball that a new machine installs.
#[derive(Debug)]
pub(crate) struct Release {
    /// Its name without `.tar.gz`, which is also that of the folder inside.
    name: String,
    url: String,
    sha256: String,
}

impl Release {
    /// The release that a command asks for; none for commands that install nothing.
    pub(crate) fn wanted(context: &Context, command: &Command) -> Result<Option<Self>, Failure> {
        let Command::Token(TokenCommand::Create {
            role,
            install: true,
            sha256,
            target,
            ..
        }) = command
        else {
            return Ok(None);
        };
        let usage = |problem: &str| Failure::Usage(anyhow!("{problem}"));
        let program = program(*role)
            .ok_or_else(|| usage("only an agent or an edge is installed with --install"))?;
        let releases = context.config.hub.releases.as_deref().ok_or_else(|| {
            usage("--install needs [hub] releases: set it to the URL of the folder with your releases")
        })?;
        let target = target.as_deref().unwrap_or(TARGET);
        let name = format!("{program}-{VERSION}-{target}");
        let folder = format!("{releases}/{VERSION}");
        let sha256 = match sha256 {
            Some(sum) => sum.clone(),
            None => {
                let sums = format!("{folder}/SHA256SUMS");
                let found = sum_of(&fetch(&sums)?, &format!("{name}.tar.gz"));
                found.with_context(|| format!("{sums} does not list {name}.tar.gz"))?
            }
        };
        let url = format!("{folder}/{name}.tar.gz");
        Ok(Some(Self { name, url, sha256 }))
    }

    /// The line. The token goes over standard input, so it is in no list of processes.
    pub(crate) fn line(&self, role: Role, hub: &str, token: &str) -> Result<String, Failure> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if !hub.chars().all(fits) {
            return Err(anyhow!(
                "this machine's name is not one that others can resolve: {hub:?}; set its host name"
            )
            .into());
        }
        let Self { name, url, sha256 } = self;
        let program = format!("/usr/local/bin/{}", program(role).unwrap_or("sysmon-agent"));
        let (state, once) = match role {
            Role::Edge => ("edge", ""),
            _ => ("agent", "--once "),
        };
        let steps = [
            "set -e".to_owned(),
            "d=$(mktemp -d)".to_owned(),
            "cd $d".to_owned(),
            format!("curl -fsSL -o s.tar.gz {url} </dev/null"),
            format!("echo {sha256} s.tar.gz | sha256sum -c --quiet -"),
            "tar xzf s.tar.gz".to_owned(),
            format!("{name}/install.sh </dev/null"),
            format!("{program} --state /var/lib/sysmon/{state} join {once}{hub} -"),
            format!("{program} service install"),
            "rm -r $d".to_owned(),
        ];
        Ok(format!("echo {token} | sudo sh -c '{}'", steps.join("; ")))
    }
}

fn program(role: Role) -> Option<&'static str> {
    match role {
        Role::Agent => Some("sysmon-agent"),
        Role::Edge => Some("sysmon-edge"),
        Role::Operator | Role::Gateway | Role::Hub => None,
    }
}

/// Fetches the list of checksums. Changing it on the way would have any program installed, so only over TLS.
fn fetch(url: &str) -> Result<String, Failure> {
    let host = url.strip_prefix("http://").unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    if !url.starts_with("https://") && !is_loopback_host(host) {
        return Err(Failure::Usage(anyhow!(
            "{url} could be changed on the way: give the sum of the tarball with --sha256, or use https in [hub] releases"
        )));
    }
    let config = ureq::Agent::config_builder().timeout_global(Some(FETCH_MAX));
    let agent: ureq::Agent = config.build().into();
    let mut answer = agent.get(url).call();
    let text = answer
        .as_mut()
        .map_err(|error| anyhow!("{error}"))
        .and_then(|answer| {
            let body = answer.body_mut().with_config().limit(SUMS_BYTES_MAX);
            body.read_to_string().map_err(anyhow::Error::from)
        });
    Ok(text.with_context(|| format!("cannot fetch {url}; publish the release, or give --sha256"))?)
}

/// The sum of a file in a list as `sha256sum` writes it.
fn sum_of(sums: &str, file: &str) -> Option<String> {
    let sum = sums.lines().find_map(|line| {
        let (sum, name) = line.split_once(char::is_whitespace)?;
        (name.trim_start_matches([' ', '*']) == file).then_some(sum)
    })?;
    let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sum.then(|| sum.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Release {
        Release {
            name: "sysmon-agent-1.2.3-x".to_owned(),
            url: "https://releases.example.org/1.2.3/sysmon-agent-1.2.3-x.tar.gz".to_owned(),
            sha256: "ab".repeat(32),
        }
    }

    #[test]
    fn a_sum_is_found_by_the_whole_name_and_must_be_one() {
        let sum = "0A".repeat(32);
        let sums = format!("{sum}  a.tar.gz\n{sum} *b.tar.gz\nnothing  c.tar.gz\n");
        assert_eq!(sum_of(&sums, "a.tar.gz"), Some(sum.to_ascii_lowercase()));
        assert_eq!(sum_of(&sums, "b.tar.gz"), Some(sum.to_ascii_lowercase()));
        assert_eq!(sum_of(&sums, "c.tar.gz"), None);
        assert_eq!(sum_of(&sums, "tar.gz"), None);
    }

    #[test]
    fn the_token_is_no_argument_of_a_program_and_nothing_is_installed_before_its_sum_is_right() {
        let line = release().line(Role::Agent, "lan-box:7979", "sysmon1.secret");
        let line = line.unwrap();
        let (echo, script) = line.split_once(" | ").unwrap();
        assert_eq!(echo, "echo sysmon1.secret");
        assert!(!script.contains("secret"), "{script}");
        let at = |what: &str| {
            script
                .find(what)
                .unwrap_or_else(|| panic!("no {what}: {script}"))
        };
        assert!(at("set -e") < at("sha256sum") && at("sha256sum") < at("tar xzf"));
        assert!(at("join --once lan-box:7979 -") < at("service install"));
    }

    #[test]
    fn a_name_that_a_shell_would_read_is_refused() {
        let line = release().line(Role::Agent, "it's:7979", "sysmon1.secret");
        assert!(line.is_err());
    }

    #[test]
    fn sums_come_over_tls_or_from_the_operator() {
        let refused = fetch("http://mirror.example.org/1/SHA256SUMS");
        assert!(matches!(refused, Err(Failure::Usage(_))));
    }
}
