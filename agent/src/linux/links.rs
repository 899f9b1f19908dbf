//! How network interfaces are stacked, and which of them carry each byte of the host once:
//! `/sys/class/net` (Documentation/ABI/testing/sysfs-class-net).

use std::collections::HashMap;
use std::path::Path;

/// One interface in the kernel's topology.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// Whether a device of a bus is behind it.
    pub(super) physical: bool,
    loopback: bool,
    bridge: bool,
    index: u32,
    /// The interface below it, possibly of another network namespace, or its own index.
    below: u32,
    /// The bond, bridge or team that it is a port of.
    master: Option<String>,
    /// Interfaces below it in this network namespace.
    lower: Vec<String>,
}

impl Link {
    pub(super) fn read(class: &Path, name: &str) -> Self {
        let folder = class.join(name);
        let number = |file: &str| {
            let text = std::fs::read_to_string(folder.join(file)).ok();
            text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
        };
        let master = std::fs::read_link(folder.join("master")).ok();
        let master = master.as_deref().and_then(Path::file_name);
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let lower = entries.filter_map(|entry| {
            let name = entry.file_name();
            Some(name.to_str()?.strip_prefix("lower_")?.to_owned())
        });
        Self {
            physical: folder.join("device").exists(),
            loopback: name == "lo",
            bridge: folder.join("bridge").exists(),
            index: number("ifindex"),
            below: number("iflink"),
            master: master.map(|name| name.to_string_lossy().into_owned()),
            lower: lower.collect(),
        }
    }

    fn is_linked(&self) -> bool {
        self.below != self.index && self.below != 0
    }
}

/// The interfaces whose sum has each byte that the host sends or receives once.
///
/// They are the physical ones. Where there are none, as in a container, they are those that end outside of this
/// network namespace, and where these are missing too, those that no other interface carries.
pub(super) fn counted(links: &HashMap<String, Link>) -> Vec<&str> {
    let choose = |is_chosen: &dyn Fn(&str, &Link) -> bool| -> Vec<&str> {
        let all = links.iter().filter(|(name, link)| is_chosen(name, link));
        all.map(|(name, _)| name.as_str()).collect()
    };
    let physical = choose(&|name, link| link.physical && !is_carried(name, link, links));
    if !physical.is_empty() {
        return physical;
    }
    let is_uplink = |link: &Link| {
        !link.loopback
            && !link.bridge
            && link.is_linked()
            && link.lower.is_empty()
            && !is_pair(link, links)
    };
    let routed = choose(&|_, link| is_uplink(link) && link.master.is_none());
    if !routed.is_empty() {
        return routed;
    }
    let ports = choose(&|_, link| is_uplink(link));
    if !ports.is_empty() {
        return ports;
    }
    choose(&|_, link| {
        !link.loopback && !link.bridge && link.lower.is_empty() && !is_pair(link, links)
    })
}

/// Whether another physical interface counts the bytes of this one: the master of a virtual function, or the
/// interface that a switch's port is below.
fn is_carried(name: &str, link: &Link, links: &HashMap<String, Link>) -> bool {
    let physical = |name: &String| links.get(name).filter(|link| link.physical);
    if link.master.as_ref().is_some_and(|m| physical(m).is_some()) {
        return true;
    }
    let is_other = |lower: &Link| lower.master.as_deref() != Some(name);
    link.lower.iter().filter_map(physical).any(is_other)
}

/// Whether both ends of a veth are in this network namespace: its bytes never leave it.
fn is_pair(link: &Link, links: &HashMap<String, Link>) -> bool {
    link.is_linked()
        && links
            .values()
            .any(|peer| peer.index == link.below && peer.below == link.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A `/sys/class/net` from lines of `NAME INDEX BELOW WORDS…`, where a word is `device`, `bridge`,
    /// `master=NAME` or `lower=NAME`.
    fn counted_of(text: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let mut links = HashMap::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let mut next = || words.next().unwrap();
            let (name, index, below) = (next(), next(), next());
            let folder = dir.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("ifindex"), format!("{index}\n")).unwrap();
            fs::write(folder.join("iflink"), format!("{below}\n")).unwrap();
            for word in words {
                match word.split_once('=') {
                    Some(("master", of)) => {
                        symlink(format!("../{of}"), folder.join("master")).unwrap();
                    }
                    Some((_, of)) => {
                        let to = folder.join(format!("lower_{of}"));
                        symlink(format!("../{of}"), to).unwrap();
                    }
                    None => fs::create_dir(folder.join(word)).unwrap(),
                }
            }
            links.insert(name.to_owned(), Link::default());
        }
        for (name, link) in &mut links {
            *link = Link::read(dir.path(), name);
        }
        let mut names: Vec<_> = counted(&links).into_iter().map(str::to_owned).collect();
        names.sort();
        names
    }

    #[test]
    fn layers_above_physical_interfaces_add_nothing() {
        let text = "lo 1 1\neth0 2 2 device master=bond0\neth1 3 3 device master=bond0\n\
            bond0 4 4 lower=eth0 lower=eth1\nbond0.7 5 4 lower=bond0\nbr0 6 6 bridge lower=bond0.7 lower=veth1\n\
            veth1 7 2 master=br0\nmac0 8 4 lower=bond0\ntun0 9 9\nvnet0 10 10 master=br0";
        assert_eq!(counted_of(text), ["eth0", "eth1"]);
    }

    #[test]
    fn a_virtual_function_and_the_ports_of_a_switch_are_counted_once() {
        // Hyper-V: the synthetic interface has the counters of the function below it.
        let azure = "eth0 2 2 device lower=enP1\nenP1 3 3 device master=eth0";
        assert_eq!(counted_of(azure), ["eth0"]);
        // DSA: all ports share the interface of the processor.
        let switch = "eth0 2 2 device\nlan1 3 2 device lower=eth0\nlan2 4 2 device lower=eth0";
        assert_eq!(counted_of(switch), ["eth0"]);
    }

    #[test]
    fn a_container_counts_what_leaves_it() {
        let plain = "lo 1 1\neth0 2 37\ntun0 3 3";
        assert_eq!(counted_of(plain), ["eth0"], "a tunnel's bytes pass eth0");
        let nested = "lo 1 1\neth0 2 37\ndocker0 3 3 bridge lower=veth5\nveth5 4 2 master=docker0";
        assert_eq!(counted_of(nested), ["eth0"]);
        let bridged = "lo 1 1\neth0 2 37 master=br0\nbr0 3 3 bridge lower=eth0";
        assert_eq!(counted_of(bridged), ["eth0"]);
        let macvlan = "lo 1 1\nnet1 2 9\nnet1.5 3 2 lower=net1";
        assert_eq!(counted_of(macvlan), ["net1"]);
    }

    #[test]
    fn without_an_uplink_what_no_other_interface_carries_is_counted() {
        assert_eq!(counted_of("lo 1 1\ntun0 2 2\nbr0 3 3 bridge"), ["tun0"]);
        let pair = "lo 1 1\na 2 3\nb 3 2";
        assert_eq!(counted_of(pair), [""; 0], "both ends are here");
    }
}
