//! Agents that are older than their hub: how far, and what upgrades them. Pure.

use sysmon_wire::HostFacts;

/// A hub works with agents, terminals and edges of this many minor versions before its own.
pub const MINORS_SUPPORTED: u64 = 2;

/// Operating systems with packages of Debian's kind, as agents name them.
const DEB: [&str; 6] = [
    "Debian",
    "Ubuntu",
    "Raspbian",
    "Linux Mint",
    "Pop!_OS",
    "Devuan",
];

/// Operating systems with packages of Red Hat's kind.
const RPM: [&str; 9] = [
    "Fedora",
    "Red Hat",
    "Rocky",
    "AlmaLinux",
    "CentOS",
    "Oracle Linux",
    "Amazon Linux",
    "openSUSE",
    "SUSE",
];

/// How an older agent stands to its hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// Supported by the hub, and by the next minor version.
    Older,
    /// Supported by the hub, but not by the next minor version.
    LastSupported,
    /// Older than the hub supports.
    Unsupported,
}

impl Skew {
    /// None for an agent that is not older, and if a version is not known.
    pub fn of(agent: &str, hub: &str) -> Option<Self> {
        let (agent, hub) = (version(agent)?, version(hub)?);
        if agent >= hub {
            return None;
        }
        let ((agent_major, agent_minor, _), (hub_major, hub_minor, _)) = (agent, hub);
        Some(match (hub_major - agent_major, hub_minor) {
            (0, _) if hub_minor - agent_minor < MINORS_SUPPORTED => Self::Older,
            (0, _) if hub_minor - agent_minor == MINORS_SUPPORTED => Self::LastSupported,
            // Which minor version was the last before a major one is not known here.
            (1, 0) => Self::LastSupported,
            _ => Self::Unsupported,
        })
    }

    /// What is to be said of a host whose agent is older than its hub, with the command that upgrades it.
    pub fn note(facts: &HostFacts, hub: &str) -> Option<String> {
        let agent = &facts.agent_version;
        let what = match Self::of(agent.as_str(), hub)? {
            Self::Older => format!("agent {agent} is older than the hub's {hub}"),
            Self::LastSupported => format!(
                "agent {agent} is of the last version that the hub's {hub} supports, and not the next one"
            ),
            Self::Unsupported => format!("agent {agent} is older than the hub's {hub} supports"),
        };
        Some(format!("{what}; to upgrade it: {}", upgrade(facts, hub)))
    }
}

/// The command that upgrades an agent to a version, by the kind of its machine.
pub fn upgrade(facts: &HostFacts, version: &str) -> String {
    let is_of = |list: &[&str]| list.iter().any(|name| facts.os.as_str().starts_with(name));
    let arch = facts.arch.as_str();
    match arch {
        "x86_64" | "aarch64" if is_of(&DEB) => {
            let arch = if arch == "x86_64" { "amd64" } else { "arm64" };
            format!("apt install ./sysmon-agent_{version}-1_{arch}.deb")
        }
        "x86_64" | "aarch64" if is_of(&RPM) => {
            format!("dnf install ./sysmon-agent-{version}-1.{arch}.rpm")
        }
        "x86_64" | "aarch64" => format!(
            "sysmon-agent-{version}-{arch}-unknown-linux-gnu/install.sh, then restart the service"
        ),
        _ => format!("build sysmon-agent {version} there, then restart the service"),
    }
}

/// Major, minor and patch version; what follows a `-` or `+` does not count.
fn version(text: &str) -> Option<(u64, u64, u64)> {
    let text = text.split(['-', '+']).next()?;
    let mut parts = text.split('.').map(str::parse::<u64>);
    let mut next = || parts.next()?.ok();
    let version = (next()?, next()?, next()?);
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_supported_for_two_minor_versions_of_the_hub() {
        let skew = |agent, hub| Skew::of(agent, hub);
        for same in [
            ("0.1.0", "0.1.0"),
            ("0.2.0", "0.1.9"),
            ("", "0.1.0"),
            ("new", "0.1.0"),
            ("0.1", "0.2.0"),
            ("0.1.0.0", "0.2.0"),
        ] {
            assert_eq!(skew(same.0, same.1), None, "{same:?}");
        }
        assert_eq!(skew("0.1.0", "0.1.1"), Some(Skew::Older));
        assert_eq!(skew("0.1.0-rc1", "0.2.0"), Some(Skew::Older));
        assert_eq!(skew("0.1.7", "0.3.0"), Some(Skew::LastSupported));
        assert_eq!(skew("0.1.7", "0.4.0"), Some(Skew::Unsupported));
        assert_eq!(skew("0.9.0", "1.0.0"), Some(Skew::LastSupported));
        assert_eq!(skew("0.9.0", "1.1.0"), Some(Skew::Unsupported));
        assert_eq!(
            skew("0.9.0", "18446744073709551615.0.0"),
            Some(Skew::Unsupported)
        );
    }

    #[test]
    fn the_note_names_the_command_for_the_machine() {
        let note = |os: &str, arch: &str, agent: &str| {
            let facts = HostFacts {
                os: os.into(),
                arch: arch.into(),
                agent_version: agent.into(),
                ..HostFacts::unknown()
            };
            Skew::note(&facts, "0.3.0")
        };
        let debian = note("Debian GNU/Linux 12 (bookworm)", "x86_64", "0.2.0").unwrap();
        assert_eq!(
            debian,
            "agent 0.2.0 is older than the hub's 0.3.0; to upgrade it: apt install ./sysmon-agent_0.3.0-1_amd64.deb"
        );
        let rocky = note("Rocky Linux 9.4", "aarch64", "0.1.0").unwrap();
        assert!(rocky.contains("last version"), "{rocky}");
        assert!(rocky.ends_with("dnf install ./sysmon-agent-0.3.0-1.aarch64.rpm"));
        let arch = note("Arch Linux", "x86_64", "0.0.9").unwrap();
        assert!(
            arch.contains("older than the hub's 0.3.0 supports"),
            "{arch}"
        );
        assert!(arch.contains("sysmon-agent-0.3.0-x86_64-unknown-linux-gnu/install.sh"));
        assert!(
            note("", "riscv64", "0.2.0")
                .unwrap()
                .contains("build sysmon-agent")
        );
        assert_eq!(note("Debian", "x86_64", "0.3.0"), None);
        let long = sysmon_wire::limits::LABEL_BYTES_MAX;
        assert!(
            [debian, rocky, arch].iter().all(|note| note.len() < long),
            "fits a note"
        );
    }
}
