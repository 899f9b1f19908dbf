//! Whether a newer kernel is installed than the one that runs.

use std::cmp::Ordering;
use std::path::Path;

const MODULES: &str = "/lib/modules";

/// Kernels that are looked at.
const KERNELS_MAX: usize = 256;

pub(super) fn is_outdated() -> bool {
    let running = rustix::system::uname();
    let running = running.release().to_string_lossy();
    is_older(&running, &installed(Path::new(MODULES)))
}

/// Kernels with modules. What is left of removed ones has no list of them.
fn installed(modules: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(modules).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().join("modules.dep").exists())
        .take(KERNELS_MAX)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Whether one of the installed kernels is newer, of those of the same flavour: a machine with kernels of two kinds runs
/// one of them on purpose.
fn is_older(running: &str, installed: &[String]) -> bool {
    let of_flavour = installed.iter();
    let mut of_flavour = of_flavour.filter(|other| flavour(other) == flavour(running));
    of_flavour.any(|other| compare(running, other) == Ordering::Less)
}

/// What is in a release besides its numbers: `6.1.0-28-cloud-amd64` is a `cloudamd`.
fn flavour(release: &str) -> String {
    release.chars().filter(char::is_ascii_alphabetic).collect()
}

/// Compares the numbers, from the first on.
fn compare(a: &str, b: &str) -> Ordering {
    numbers(a).cmp(numbers(b))
}

fn numbers(release: &str) -> impl Iterator<Item = u64> {
    let numbers = release.split(|c: char| !c.is_ascii_digit());
    numbers.filter_map(|digits| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_older_than_a_newer_one_of_its_flavour() {
        let older = |running: &str, installed: &[&str]| {
            let installed: Vec<_> = installed.iter().map(ToString::to_string).collect();
            is_older(running, &installed)
        };
        // Debian, Ubuntu, Fedora, RHEL, Arch, openSUSE, Alpine, Proxmox.
        for (running, newer) in [
            ("6.1.0-9-amd64", "6.1.0-28-amd64"),
            ("6.8.0-45-generic", "6.8.0-101-generic"),
            ("6.11.4-301.fc41.x86_64", "6.12.1-200.fc41.x86_64"),
            ("5.14.0-427.el9.x86_64", "5.14.0-427.13.1.el9_4.x86_64"),
            ("6.11.5-arch1-1", "6.11.5-arch1-2"),
            ("6.11.3-1-default", "6.11.10-1-default"),
            ("6.6.58-0-lts", "6.6.59-0-lts"),
            ("6.8.12-4-pve", "6.11.0-1-pve"),
        ] {
            assert!(older(running, &[running, newer]), "{running}");
            assert!(!older(newer, &[running, newer]), "{newer}");
        }
        assert!(!older("6.1.0-28-amd64", &["6.1.0-30-cloud-amd64"]));
        assert!(!older("6.8.0-45-generic", &["6.11.0-8-lowlatency"]));
        assert!(!older("6.6.0-custom", &[]));
        assert!(!older("6.6.0-rc1", &["6.6.0-99999999999999999999999-rc1"]));
    }

    #[test]
    fn what_a_removed_kernel_left_is_not_installed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["6.1.0-28-amd64", "6.1.0-9-amd64"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("6.1.0-9-amd64/modules.dep"), "").unwrap();
        assert_eq!(installed(dir.path()), ["6.1.0-9-amd64"]);
        assert!(installed(&dir.path().join("none")).is_empty());
    }
}
