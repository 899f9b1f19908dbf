//! Energy consumption of processors: `/sys/class/powercap` (Documentation/power/powercap/powercap.rst).

use sysmon_wire::Label;
use sysmon_wire::metrics::ENERGY;

use super::hwmon::text;
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

/// Domains per host: package, core, uncore and memory of each socket.
const DOMAINS_MAX: usize = 32;

#[derive(Debug)]
pub(super) struct PowerCap {
    domains: Vec<(KernelFile, Slot)>,
}

impl PowerCap {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let folder = roots.sys.join("class/powercap");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        let mut domains = Vec::new();
        for path in paths.into_iter().take(DOMAINS_MAX) {
            let file = KernelFile::open(&path.join("energy_uj"));
            let (true, Some(name)) = (file.exists(), text(&path.join("name"))) else {
                continue;
            };
            // The numbers of "intel-rapl:0:1" distinguish sockets.
            let id = path.file_name().unwrap_or_default().to_string_lossy();
            let socket = id.split_once(':').map_or("", |(_, socket)| socket);
            let name = Label::new(&format!("{name} {socket}"));
            domains.push((
                file,
                board.slot(ENERGY.series(&[("hw.name", name.as_str())])),
            ));
        }
        Self { domains }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        for (file, slot) in &mut self.domains {
            if let Some(microjoules) = file.read_i64(context.buffer) {
                context.board.set(*slot, microjoules);
            }
        }
    }
}
