//! Processor frequencies: `cpufreq` (Documentation/admin-guide/pm/cpufreq.rst).

use sysmon_wire::metrics::CPU_FREQUENCY;

use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

/// Processors per host; on larger machines the first ones are representative.
const PROCESSORS_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Frequency {
    processors: Vec<(KernelFile, Slot)>,
}

impl Frequency {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let mut processors = Vec::new();
        for number in 0..PROCESSORS_MAX {
            let path = format!("devices/system/cpu/cpu{number}/cpufreq/scaling_cur_freq");
            let file = KernelFile::open(&roots.sys.join(path));
            if !file.exists() {
                break;
            }
            let number = number.to_string();
            let key = CPU_FREQUENCY.series(&[("cpu.logical_number", &number)]);
            processors.push((file, board.slot(key)));
        }
        Self { processors }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        for (file, slot) in &mut self.processors {
            if let Some(kilohertz) = file.read_i64(context.buffer) {
                context.board.set(*slot, kilohertz / 1000);
            }
        }
    }
}
