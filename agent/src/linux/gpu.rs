//! Graphics processors: `/sys/class/drm` for AMD and Intel; NVML for NVIDIA, loaded only where its driver is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nvml_wrapper::Nvml;
use sysmon_wire::metrics::{
    GPU_MEMORY_LIMIT, GPU_MEMORY_USAGE, GPU_UTILIZATION, Metric, POWER, TEMPERATURE,
};
use sysmon_wire::{Label, LimitState};

use super::background::{Background, Reading};
use super::listing::ListLimit;
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

const CARDS_MAX: usize = 16;

/// The file by which a card is known.
const BUSY: &str = "gpu_busy_percent";

/// Time between two NVML readings: its calls take a millisecond or more.
const NVML_PERIOD: Duration = Duration::from_secs(2);

/// A graphics card with the files that are read of it.
#[derive(Debug)]
struct Card {
    name: String,
    files: [(KernelFile, Slot, i64); 3],
}

#[derive(Debug)]
pub(super) struct Cards {
    folder: PathBuf,
    cards: Vec<Card>,
    limit: ListLimit,
}

impl Cards {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let mut cards = Self {
            folder: roots.sys.join("class/drm"),
            cards: Vec::new(),
            limit: ListLimit::new("graphics cards", CARDS_MAX),
        };
        cards.scan(board);
        cards
    }

    /// Lists the cards that are there now.
    pub(super) fn scan(&mut self, board: &mut Board) {
        let entries = std::fs::read_dir(&self.folder);
        let mut names: Vec<_> = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            // "card0"; "card0-DP-1" is one of its connectors.
            .filter(|name| name.starts_with("card") && !name.contains('-'))
            .filter(|name| self.folder.join(name).join("device").join(BUSY).exists())
            .collect();
        names.sort();
        self.limit.set_present(names.len());
        names.truncate(CARDS_MAX);
        self.cards.retain(|card| {
            let is_present = names.contains(&card.name);
            if !is_present {
                card.files
                    .iter()
                    .for_each(|(_, slot, _)| board.release(*slot));
            }
            is_present
        });
        names.retain(|name| self.cards.iter().all(|card| card.name != *name));
        for name in names {
            let device = self.folder.join(&name).join("device");
            let label = Label::new(&name);
            let id = ("hw.id", label.as_str());
            let mut file = |file: &str, metric: Metric, factor| {
                let file = KernelFile::open_each_time(device.join(file));
                (file, board.slot(metric.series(&[id])), factor)
            };
            let files = [
                file(BUSY, GPU_UTILIZATION, 10),
                file("mem_info_vram_total", GPU_MEMORY_LIMIT, 1),
                file("mem_info_vram_used", GPU_MEMORY_USAGE, 1),
            ];
            self.cards.push(Card { name, files });
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        for (file, slot, factor) in self.cards.iter_mut().flat_map(|card| &mut card.files) {
            let value = file.read_i64(context.buffer);
            let value = value.map(|value| value.saturating_mul(*factor));
            context.board.set_or_clear(*slot, value);
        }
    }

    pub(super) fn limit(&self) -> LimitState {
        self.limit.state()
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
        ..Reading::default()
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
            rootfs: "/nonexistent".into(),
        };
        let mut board = Board::new();
        let mut cards = Cards::new(&roots, &mut board);
        let collect = |cards: &mut Cards, board: &mut Board| {
            cards.collect(&mut Context {
                board,
                buffer: &mut ReadBuffer::default(),
                now: UnixMs(0),
            });
        };
        collect(&mut cards, &mut board);
        assert_eq!(value(&board, "hw.gpu.utilization", &["card0"]), 370);
        assert_eq!(value(&board, "hw.gpu.memory.usage", &["card0"]), 1024);
        assert_eq!(board.keys().len(), 3);
        assert!(nvidia(&roots).is_none());
        // An external card is plugged in, unplugged, and plugged in again.
        let external = dir.path().join("class/drm/card1/device");
        for _ in 0..2 {
            std::fs::create_dir_all(&external).unwrap();
            std::fs::write(external.join("gpu_busy_percent"), "5\n").unwrap();
            cards.scan(&mut board);
            collect(&mut cards, &mut board);
            assert_eq!(value(&board, "hw.gpu.utilization", &["card1"]), 50);
            std::fs::remove_dir_all(external.parent().unwrap()).unwrap();
            cards.scan(&mut board);
            collect(&mut cards, &mut board);
            assert_eq!(board.series(), 3);
        }
        assert_eq!(value(&board, "hw.gpu.utilization", &["card0"]), 370);
    }
}
