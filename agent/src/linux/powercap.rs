//! Energy consumption of processors: `/sys/class/powercap` (Documentation/power/powercap/powercap.rst).

use std::path::PathBuf;

use sysmon_wire::metrics::ENERGY;
use sysmon_wire::{Label, LimitState};

use super::hwmon::text;
use super::listing::ListLimit;
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

/// Domains per host: package, core, uncore and memory of each socket.
const DOMAINS_MAX: usize = 32;

/// A domain, by the name of its folder and the one that the kernel gives it.
#[derive(Debug)]
struct Domain {
    folder: PathBuf,
    name: String,
    energy: KernelFile,
    slot: Slot,
}

#[derive(Debug)]
pub(super) struct PowerCap {
    folder: PathBuf,
    domains: Vec<Domain>,
    limit: ListLimit,
}

impl PowerCap {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let mut powercap = Self {
            folder: roots.sys.join("class/powercap"),
            domains: Vec::new(),
            limit: ListLimit::new("power domains", DOMAINS_MAX),
        };
        powercap.scan(board);
        powercap
    }

    /// Lists the domains that are there now: drivers are loaded later, and processors go offline.
    pub(super) fn scan(&mut self, board: &mut Board) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let named = |path: PathBuf| {
            let has_energy = path.join("energy_uj").exists();
            Some((text(&path.join("name")).filter(|_| has_energy)?, path))
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let mut present: Vec<_> = paths.filter_map(named).collect();
        present.sort_by(|a, b| a.1.cmp(&b.1));
        self.limit.set_present(present.len());
        present.truncate(DOMAINS_MAX);
        let is_of = |domain: &Domain, (name, path): &(String, PathBuf)| {
            domain.name == *name && domain.folder == *path
        };
        self.domains.retain(|domain| {
            let is_present = present.iter().any(|one| is_of(domain, one));
            if !is_present {
                board.release(domain.slot);
            }
            is_present
        });
        present.retain(|one| self.domains.iter().all(|domain| !is_of(domain, one)));
        for (name, folder) in present {
            // The numbers of "intel-rapl:0:1" distinguish sockets.
            let id = folder.file_name().unwrap_or_default().to_string_lossy();
            let socket = id.split_once(':').map_or("", |(_, socket)| socket);
            let label = Label::new(&format!("{name} {socket}"));
            self.domains.push(Domain {
                energy: KernelFile::open_each_time(folder.join("energy_uj")),
                slot: board.slot(ENERGY.series(&[("hw.name", label.as_str())])),
                name,
                folder,
            });
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        for domain in &mut self.domains {
            let microjoules = domain.energy.read_i64(context.buffer);
            context.board.set_or_clear(domain.slot, microjoules);
        }
    }

    pub(super) fn limit(&self) -> LimitState {
        self.limit.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::ReadBuffer;
    use crate::linux::testing::{collector_roots, value};
    use sysmon_wire::UnixMs;

    #[test]
    fn domains_that_come_and_go_are_listed_while_they_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("class/powercap");
        let add = |id: &str, name: &str, energy: &str| {
            std::fs::create_dir_all(folder.join(id)).unwrap();
            std::fs::write(folder.join(id).join("name"), name).unwrap();
            std::fs::write(folder.join(id).join("energy_uj"), energy).unwrap();
        };
        std::fs::create_dir_all(folder.join("intel-rapl")).unwrap();
        add("intel-rapl:0", "package-0", "7");
        let roots = Roots {
            sys: dir.path().to_owned(),
            ..collector_roots()
        };
        let mut board = Board::new();
        let mut powercap = PowerCap::new(&roots, &mut board);
        let mut shown = |powercap: &mut PowerCap, name: &str| {
            powercap.scan(&mut board);
            powercap.collect(&mut Context {
                board: &mut board,
                buffer: &mut ReadBuffer::default(),
                now: UnixMs(0),
            });
            (value(&board, "hw.energy", &[name]), board.series())
        };
        assert_eq!(shown(&mut powercap, "package-0 0"), (7, 1));
        for _ in 0..2 {
            add("intel-rapl:1", "package-1", "9");
            assert_eq!(shown(&mut powercap, "package-1 1"), (9, 2));
            std::fs::remove_dir_all(folder.join("intel-rapl:1")).unwrap();
            assert_eq!(shown(&mut powercap, "package-0 0"), (7, 1));
        }
    }
}
