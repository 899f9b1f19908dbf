//! Pressure stall information: `/proc/pressure/*` (Documentation/accounting/psi.rst).

use sysmon_wire::metrics::PRESSURE_TIME;

use super::parse::{lines, number, words};
use super::{Context, KernelFile, ReadBuffer, Roots};
use crate::board::{Board, Slot};

#[derive(Debug)]
struct Resource {
    file: KernelFile,
    some: Slot,
    full: Slot,
}

#[derive(Debug)]
pub(super) struct Pressure {
    resources: Vec<Resource>,
}

impl Pressure {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let open = |resource: &str| {
            let mut file = KernelFile::open(&roots.proc.join("pressure").join(resource));
            // Kernels with psi=0 have the files, but reading fails with EOPNOTSUPP.
            file.read(&mut ReadBuffer::default())?;
            let mut slot = |scope: &str| {
                let attributes = [
                    ("linux.pressure.resource", resource),
                    ("linux.pressure.scope", scope),
                ];
                board.slot(PRESSURE_TIME.series(&attributes))
            };
            Some(Resource {
                some: slot("some"),
                full: slot("full"),
                file,
            })
        };
        Self {
            resources: ["cpu", "memory", "io"]
                .into_iter()
                .filter_map(open)
                .collect(),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        for resource in &mut self.resources {
            let Some(text) = resource.file.read(context.buffer) else {
                continue;
            };
            let (some, full) = parse(text);
            for (slot, total) in [(resource.some, some), (resource.full, full)] {
                if let Some(total) = total {
                    context.board.set_u64(slot, total);
                }
            }
        }
    }
}

/// Microseconds in which some tasks, and in which all tasks were stalled.
fn parse(text: &[u8]) -> (Option<u64>, Option<u64>) {
    let total = |name: &[u8]| {
        let line = lines(text).find(|line| line.starts_with(name))?;
        words(line)
            .find_map(|word| word.strip_prefix(b"total="))
            .and_then(number)
    };
    (total(b"some "), total(b"full "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_and_the_full_line_is_optional() {
        let new = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(parse(new), (Some(123), Some(7)));
        assert_eq!(
            parse(b"some avg10=1.53 avg60=0.1 avg300=0.0 total=9\n"),
            (Some(9), None)
        );
        assert_eq!(parse(b"garbage\n"), (None, None));
    }
}
