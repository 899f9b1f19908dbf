//! Facts of the host: os-release(5), `/proc/cpuinfo`, uname(2).

use sysmon_wire::{HostFacts, Label, UnixMs};

use super::Roots;
use super::parse::{lines, number, words};
use crate::VERSION;

/// The facts of a host that booted at `boot`. In a container with lxcfs, processors and memory are its limits, which may
/// change.
pub(super) fn facts(roots: &Roots, boot: UnixMs) -> HostFacts {
    let proc = |file: &str| std::fs::read(roots.proc.join(file)).unwrap_or_default();
    let uname = rustix::system::uname();
    let cpuinfo = proc("cpuinfo");
    let meminfo = proc("meminfo");
    HostFacts {
        id: Label::new(&machine_id(roots)),
        os: Label::new(&os_name(roots).unwrap_or_else(|| "Linux".to_owned())),
        kernel: Label::from_bytes(uname.release().to_bytes()),
        arch: Label::from_bytes(uname.machine().to_bytes()),
        cpu_model: Label::new(&cpu_model(&cpuinfo)),
        cpus: processors(&proc("stat")),
        memory_bytes: value(&meminfo, b"MemTotal:")
            .unwrap_or(0)
            .saturating_mul(1024),
        boot,
        agent_version: Label::new(VERSION),
        tags: Vec::new(),
        ..HostFacts::unknown()
    }
}

/// machine-id(5); empty where there is none yet.
fn machine_id(roots: &Roots) -> String {
    let files = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
    let read = |file| std::fs::read_to_string(roots.host_file(file)).ok();
    let is_id = |id: &String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let trimmed = |text: String| text.trim().to_ascii_lowercase();
    let mut found = files.into_iter().filter_map(read).map(trimmed);
    found.find(is_id).unwrap_or_default()
}

fn os_name(roots: &Roots) -> Option<String> {
    // The first is a link, which may be absolute: below another root it leads elsewhere.
    let files = match roots.are_usual() {
        true => ["/etc/os-release", "/usr/lib/os-release"],
        false => ["/usr/lib/os-release", "/etc/os-release"],
    };
    let read = |file| std::fs::read_to_string(roots.host_file(file)).ok();
    let text = files.into_iter().find_map(read)?;
    pretty_name(&text)
}

fn pretty_name(text: &str) -> Option<String> {
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches(['"', '\'']).to_owned())
}

/// x86 has `model name`, some Arm kernels have `Model` or `Hardware`, others nothing.
fn cpu_model(cpuinfo: &[u8]) -> String {
    let text = String::from_utf8_lossy(cpuinfo);
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.split_whitespace().collect::<Vec<_>>().join(" "))
        })
    };
    ["model name", "Model", "Hardware", "uarch", "cpu"]
        .iter()
        .find_map(|name| field(name))
        .unwrap_or_default()
}

fn processors(stat: &[u8]) -> u32 {
    let is_processor = |line: &&[u8]| {
        line.strip_prefix(b"cpu")
            .and_then(|rest| rest.first())
            .is_some_and(u8::is_ascii_digit)
    };
    lines(stat).filter(is_processor).count() as u32
}

fn value(text: &[u8], name: &[u8]) -> Option<u64> {
    let line = lines(text).find(|line| words(line).next() == Some(name))?;
    words(line).nth(1).and_then(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_parsed_from_the_files_of_different_systems() {
        assert_eq!(
            pretty_name("NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n")
                .unwrap(),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(
            cpu_model(b"processor\t: 0\nmodel name\t: AMD  Ryzen 9\n"),
            "AMD Ryzen 9"
        );
        assert_eq!(
            cpu_model(b"processor : 0\nModel : Raspberry Pi 4\n"),
            "Raspberry Pi 4"
        );
        assert_eq!(processors(b"cpu  1\ncpu0 1\ncpu11 1\nintr 5\n"), 2);
    }

    #[test]
    fn a_machine_has_its_id_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots {
            rootfs: dir.path().to_owned(),
            ..Roots::default()
        };
        assert_eq!(machine_id(&roots), "");
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        let file = dir.path().join("etc/machine-id");
        std::fs::write(&file, "uninitialized\n").unwrap();
        assert_eq!(machine_id(&roots), "");
        std::fs::write(&file, "4C4c454400384d10805ab8c04f4b4e32\n").unwrap();
        assert_eq!(machine_id(&roots), "4c4c454400384d10805ab8c04f4b4e32");
    }

    #[test]
    fn this_machine_has_facts() {
        let facts = facts(&Roots::default(), UnixMs(1));
        assert!(facts.cpus > 0 && facts.memory_bytes > 1 << 20 && facts.boot.0 > 0);
    }
}
