//! Graphics processors: `/sys/class/drm` for AMD and Intel; NVML for NVIDIA, loaded only where its driver is.

use std::path::Path;
use std::time::Duration;

use nvml_wrapper::Nvml;
use sysmon_wire::Label;
use sysmon_wire::metrics::{
    GPU_MEMORY_LIMIT, GPU_MEMORY_USAGE, GPU_UTILIZATION, Metric, POWER, TEMPERATURE,
};

use super::background::{Background, Reading};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

const CARDS_MAX: usize = 16;

/// Time between two NVML readings: its calls take a millisecond or more.
const NVML_PERIOD: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Cards {
    cards: Vec<[(KernelFile, Slot, i64); 3]>,
}

impl Cards {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let entries = std::fs::read_dir(roots.sys.join("class/drm"));
        let mut names: Vec<_> = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            // "card0"; "card0-DP-1" is one of its connectors.
            .filter(|name| name.starts_with("card") && !name.contains('-'))
            .collect();
        names.sort();
        let mut cards = Vec::new();
        for name in names.into_iter().take(CARDS_MAX) {
            let device = roots.sys.join("class/drm").join(&name).join("device");
            let busy = KernelFile::open(&device.join("gpu_busy_percent"));
            if !busy.exists() {
                continue;
            }
            let id = ("hw.id", name.as_str());
            let mut memory = |file: &str, metric: Metric| {
                let file = KernelFile::open(&device.join(file));
                (file, board.slot(metric.series(&[id])), 1)
            };
            let limit = memory("mem_info_vram_total", GPU_MEMORY_LIMIT);
            let usage = memory("mem_info_vram_used", GPU_MEMORY_USAGE);
            let busy = (busy, board.slot(GPU_UTILIZATION.series(&[id])), 10);
            cards.push([busy, limit, usage]);
        }
        Self { cards }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        for (file, slot, factor) in self.cards.iter_mut().flatten() {
            if let Some(value) = file.read_i64(context.buffer) {
                context.board.set(*slot, value.saturating_mul(*factor));
            }
        }
    }
}

pub(super) fn nvidia(roots: &Roots) -> Option<Background> {
    if !Path::new(&roots.proc).join("driver/nvidia").exists() {
        return None;
    }
    let mut nvml = None;
    Some(Background::start("nvml", NVML_PERIOD, move || {
        if nvml.is_none() {
            nvml = Nvml::init().ok();
        }
        nvml.as_ref().map(cards)
    }))
}

fn cards(nvml: &Nvml) -> Reading {
    let mut values = Vec::new();
    let count = nvml.device_count().unwrap_or(0).min(CARDS_MAX as u32);
    for index in 0..count {
        let Ok(device) = nvml.device_by_index(index) else {
            continue;
        };
        let id = Label::new(&format!("nvidia{index}"));
        let id = ("hw.id", id.as_str());
        let name = Label::new(&device.name().unwrap_or_else(|_| format!("GPU {index}")));
        let hw = ("hw.name", name.as_str());
        if let Ok(rates) = device.utilization_rates() {
            values.push((GPU_UTILIZATION.series(&[id]), i64::from(rates.gpu) * 10));
        }
        if let Ok(memory) = device.memory_info() {
            let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
            values.push((GPU_MEMORY_LIMIT.series(&[id]), bytes(memory.total)));
            values.push((GPU_MEMORY_USAGE.series(&[id]), bytes(memory.used)));
        }
        use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
        if let Ok(degrees) = device.temperature(TemperatureSensor::Gpu) {
            values.push((TEMPERATURE.series(&[id, hw]), i64::from(degrees) * 1000));
        }
        if let Ok(milliwatts) = device.power_usage() {
            values.push((POWER.series(&[id, hw]), i64::from(milliwatts) * 1000));
        }
    }
    Reading {
        values,
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::ReadBuffer;
    use crate::linux::testing::value;
    use sysmon_wire::UnixMs;

    #[test]
    fn cards_in_sysfs_are_read_and_connectors_are_not_cards() {
        let dir = tempfile::tempdir().unwrap();
        let device = dir.path().join("class/drm/card0/device");
        std::fs::create_dir_all(&device).unwrap();
        std::fs::create_dir_all(dir.path().join("class/drm/card0-DP-1/device")).unwrap();
        std::fs::write(device.join("gpu_busy_percent"), "37\n").unwrap();
        std::fs::write(device.join("mem_info_vram_total"), "8589934592\n").unwrap();
        std::fs::write(device.join("mem_info_vram_used"), "1024\n").unwrap();
        let roots = Roots {
            proc: "/nonexistent".into(),
            sys: dir.path().to_owned(),
        };
        let mut board = Board::new();
        let mut cards = Cards::new(&roots, &mut board);
        cards.collect(&mut Context {
            board: &mut board,
            buffer: &mut ReadBuffer::default(),
            now: UnixMs(0),
        });
        assert_eq!(value(&board, "hw.gpu.utilization", &["card0"]), 370);
        assert_eq!(value(&board, "hw.gpu.memory.usage", &["card0"]), 1024);
        assert_eq!(board.keys().len(), 3);
        assert!(nvidia(&roots).is_none());
    }
}
