//! The package managers: how each lists updates without its lock and without the network, and what it prints. Pure.

use std::collections::HashSet;

pub(super) struct Manager {
    /// Its file name.
    pub(super) program: &'static str,
    /// What it has where it manages the machine's packages, and not those of something else.
    pub(super) database: &'static str,
    /// Files and folders of which one changes whenever the list of updates does; none if there are no such.
    pub(super) watched: &'static [&'static str],
    pub(super) commands: &'static [&'static str],
    /// Exit codes besides 0 of a success.
    pub(super) accepted: &'static [i32],
    /// Counts the updates in what the commands print.
    pub(super) count: fn(&[String]) -> Result<Counts, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) all: usize,
    /// None where the packages do not say.
    pub(super) security: Option<usize>,
}

/// The first that is installed is that of the machine.
pub(super) const MANAGERS: &[Manager] = &[
    Manager {
        program: "apt-get",
        database: "/var/lib/dpkg/status",
        watched: &[
            "/var/lib/dpkg/status",
            "/var/lib/apt/lists",
            "/etc/apt/preferences.d",
        ],
        commands: &["apt-get -s -o Debug::NoLocking=1 dist-upgrade"],
        accepted: &[],
        count: apt,
    },
    Manager {
        program: "dnf",
        database: "/etc/dnf",
        watched: &[],
        commands: &[
            "dnf -q --cacheonly check-update",
            "dnf -q --cacheonly updateinfo list --security",
        ],
        accepted: &[100],
        count: dnf,
    },
    Manager {
        program: "zypper",
        database: "/etc/zypp",
        watched: &[],
        commands: &[
            "zypper --non-interactive --no-refresh list-updates",
            "zypper --non-interactive --no-refresh list-patches --category security",
        ],
        accepted: &[],
        count: zypper,
    },
    Manager {
        program: "pacman",
        database: "/var/lib/pacman/local",
        watched: &["/var/lib/pacman/local", "/var/lib/pacman/sync"],
        commands: &["pacman -Qu 2>&1"],
        // Without updates.
        accepted: &[1],
        count: pacman,
    },
    Manager {
        program: "apk",
        database: "/etc/apk",
        watched: &[],
        commands: &["apk --no-network version -l '<'"],
        accepted: &[],
        count: apk,
    },
];

fn first(texts: &[String]) -> &str {
    texts.first().map_or("", String::as_str)
}

/// Lines `Inst NAME [OLD] (NEW ORIGIN:VERSION/SUITE, … [ARCHITECTURE])`. Packages without an old version are new ones.
fn apt(texts: &[String]) -> Result<Counts, String> {
    let mut counts = Counts {
        all: 0,
        security: Some(0),
    };
    for line in first(texts).lines() {
        let Some((name_and_old, new)) = line.split_once(" (") else {
            continue;
        };
        let mut words = name_and_old.split_whitespace();
        let (kind, old) = (words.next(), words.nth(1));
        if kind != Some("Inst") || old.is_none_or(|old| !old.starts_with('[')) {
            continue;
        }
        counts.all += 1;
        // Debian-Security:12/stable-security, Ubuntu:24.04/noble-security.
        let origins = new.split_once(')').map_or(new, |(inside, _)| inside);
        let is_security = origins.contains("-Security:") || origins.contains("-security");
        if let Some(count) = counts.security.as_mut().filter(|_| is_security) {
            *count += 1;
        }
    }
    Ok(counts)
}

/// `check-update` prints `NAME.ARCHITECTURE VERSION REPOSITORY`, broken into lines where that is long; then, after a title,
/// packages that replace others. `updateinfo` prints `ADVISORY SEVERITY/Sec. PACKAGE`, dnf 5 `ADVISORY security SEVERITY
/// PACKAGE TIME`.
fn dnf(texts: &[String]) -> Result<Counts, String> {
    let lines = first(texts).lines();
    let lines = lines.take_while(|line| !line.to_ascii_lowercase().starts_with("obsoleting "));
    let is_package = |line: &&str| {
        let mut words = line.split_whitespace();
        let is_name = words.next().is_some_and(|name| {
            let parts = name.rsplit_once('.');
            parts.is_some_and(|(_, architecture)| {
                !architecture.is_empty()
                    && architecture
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '_')
            })
        });
        is_name && !line.starts_with(' ') && matches!(words.count(), 0..=2)
    };
    let all = lines.filter(is_package).count();
    let advisories = texts.get(1).map_or("", String::as_str);
    let package = |line: &'_ str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let package = match words.as_slice() {
            [_, kind, package] if kind.ends_with("/Sec.") => package,
            [_, "security", _, package, ..] => package,
            _ => return None,
        };
        Some(without_version(package).to_owned())
    };
    let security: HashSet<_> = advisories.lines().filter_map(package).collect();
    Ok(Counts {
        all,
        security: Some(security.len()),
    })
}

/// The name in `NAME-VERSION-RELEASE.ARCHITECTURE`: several advisories may be about one package.
fn without_version(package: &str) -> &str {
    let mut parts = package.rsplitn(3, '-');
    parts.nth(2).unwrap_or(package)
}

/// Tables with `|` between their columns.
fn zypper(texts: &[String]) -> Result<Counts, String> {
    let rows = |text: &'_ str, is_wanted: &dyn Fn(&[&str]) -> bool| {
        let cells = |line: &'_ str| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            is_wanted(&cells)
        };
        text.lines().filter(|line| cells(line)).count()
    };
    let all = rows(first(texts), &|cells| matches!(cells, ["v", _, _, _, ..]));
    let patches = texts.get(1).map_or("", String::as_str);
    let is_needed = |cells: &[&str]| cells.contains(&"security") && cells.contains(&"needed");
    Ok(Counts {
        all,
        security: Some(rows(patches, &is_needed)),
    })
}

/// Lines `NAME OLD -> NEW`, with `[ignored]` behind those that the configuration leaves out.
fn pacman(texts: &[String]) -> Result<Counts, String> {
    let text = first(texts);
    if let Some(error) = text.lines().find(|line| line.starts_with("error:")) {
        return Err(format!(
            "printed {:?}",
            error.chars().take(120).collect::<String>()
        ));
    }
    let is_update = |line: &&str| line.contains(" -> ") && !line.ends_with("[ignored]");
    Ok(Counts {
        all: text.lines().filter(is_update).count(),
        security: None,
    })
}

/// After a title, lines `NAME-OLD < NEW`.
fn apk(texts: &[String]) -> Result<Counts, String> {
    let is_update = |line: &&str| line.split_whitespace().nth(1) == Some("<");
    Ok(Counts {
        all: first(texts).lines().filter(is_update).count(),
        security: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(
        count: fn(&[String]) -> Result<Counts, String>,
        texts: &[&str],
    ) -> (usize, Option<usize>) {
        let texts: Vec<_> = texts.iter().map(ToString::to_string).collect();
        let counts = count(&texts).unwrap();
        (counts.all, counts.security)
    }

    #[test]
    fn apt_names_the_origin_of_an_update() {
        // As apt 2.6.1 printed on Debian 12, and lines of Ubuntu 22.04.
        let text = "NOTE: This is only a simulation!\n\
            Reading package lists...\n\
            The following packages will be upgraded:\n  libpng-dev libss2\n\
            Inst libpng-dev [1.6.39-2+deb12u4] (1.6.39-2+deb12u5 Debian:12.14/oldstable, Debian-Security:12/oldstable-security [amd64]) []\n\
            Inst libnghttp2-14 [1.52.0-1+deb12u2] (1.52.0-1+deb12u3 Debian-Security:12/oldstable-security [amd64])\n\
            Inst libss2 [1.47.0-2] (1.47.0-2+b2 Debian:12.14/oldstable [amd64])\n\
            Inst linux-image-6.1.0-40-amd64 (6.1.153-1 Debian:12.12/oldstable [amd64])\n\
            Inst openssl [3.0.2-0ubuntu1.15] (3.0.2-0ubuntu1.18 Ubuntu:22.04/jammy-updates, Ubuntu:22.04/jammy-security [amd64])\n\
            Remv old-security-tool [1.0]\n\
            Conf libss2 (1.47.0-2+b2 Debian:12.14/oldstable [amd64])\n";
        assert_eq!(of(apt, &[text]), (4, Some(3)));
        assert_eq!(of(apt, &[""]), (0, Some(0)));
    }

    #[test]
    fn dnf_lists_packages_and_advisories() {
        let updates = "\n\
            Security: kernel-core-5.14.0-503.el9.x86_64 is an installed security update\n\
            bash.x86_64                       5.2.32-1.fc40             updates\n\
            NetworkManager-config-connectivity-fedora.noarch\n\
            \x20                                 1:1.46.2-1.fc40           updates\n\
            openssl-libs.x86_64               1:3.2.2-3.fc40            updates\n\
            Obsoleting Packages\n\
            iptables-legacy.x86_64            1.8.10-8.fc40             updates\n\
            \x20   iptables-legacy.x86_64        1.8.10-7.fc40             @fedora\n";
        let advisories = "FEDORA-2024-1 Moderate/Sec.  openssl-libs-1:3.2.2-3.fc40.x86_64\n\
            FEDORA-2024-2 Important/Sec. openssl-libs-1:3.2.2-2.fc40.x86_64\n\
            FEDORA-2024-3 bugfix         bash-5.2.32-1.fc40.x86_64\n";
        assert_eq!(of(dnf, &[updates, advisories]), (3, Some(1)));
        let of_5 = "Name          Type     Severity  Package                       Issued\n\
            FEDORA-2025-1 security Important vim-data-9.1.1-1.fc41.noarch  2025-01-02 01:00:00\n\
            FEDORA-2025-2 security None      xz-libs-5.6.3-2.fc41.x86_64   2025-01-02 01:00:00\n";
        assert_eq!(of(dnf, &["", of_5]), (0, Some(2)));
        assert_eq!(of(dnf, &["", ""]), (0, Some(0)));
    }

    #[test]
    fn zypper_lists_updates_and_patches_in_tables() {
        let updates = "Loading repository data...\nReading installed packages...\n\
            S | Repository | Name     | Current Version | Available Version | Arch\n\
            --+------------+----------+-----------------+-------------------+-------\n\
            v | repo-oss   | zlib     | 1.2.13-1.1      | 1.3.1-1.1         | x86_64\n\
            v | repo-oss   | vim      | 9.1.0-1.1       | 9.1.1-1.1         | x86_64\n";
        let patches = "Repository | Name        | Category | Severity  | Interactive | Status | Summary\n\
            -----------+-------------+----------+-----------+-------------+--------+--------\n\
            repo-sle   | SUSE-2024-1 | security | important | ---         | needed | Security update for zlib\n\
            repo-sle   | SUSE-2024-2 | security | low       | ---         | applied | Security update for vim\n";
        assert_eq!(of(zypper, &[updates, patches]), (2, Some(1)));
        let none = "Loading repository data...\nNo updates found.\n";
        assert_eq!(of(zypper, &[none, none]), (0, Some(0)));
    }

    #[test]
    fn pacman_and_apk_do_not_know_which_updates_are_for_security() {
        let text = "linux 6.11.5.arch1-1 -> 6.11.6.arch1-1\nzlib 1:1.3.1-1 -> 1:1.3.1-2\nvim 9.1-1 -> 9.2-1 [ignored]\n";
        assert_eq!(of(pacman, &[text]), (2, None));
        assert_eq!(of(pacman, &[""]), (0, None));
        let broken = "error: failed to initialize alpm library".to_owned();
        assert!(pacman(&[broken]).unwrap_err().contains("alpm"));
        let text = "Installed:                                Available:\n\
            busybox-1.36.1-r5                       < 1.36.1-r15 \n\
            musl-1.2.4_git20230717-r4               < 1.2.4_git20230717-r5 \n";
        assert_eq!(of(apk, &[text]), (2, None));
    }

    proptest! {
        #[test]
        fn arbitrary_output_does_not_panic(texts: Vec<String>, line in "(Inst|v|a|-|\\[|\\(|\\)|\\||\\.| ){0,40}") {
            for manager in MANAGERS {
                let _ = (manager.count)(&texts);
                let _ = (manager.count)(&[line.clone(), line.clone()]);
            }
        }
    }
}
