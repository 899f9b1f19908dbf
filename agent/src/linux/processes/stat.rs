//! One line of `/proc/PID/stat` (proc_pid_stat(5)), parsed in place.

use crate::linux::parse::number;

/// Bytes stored of a name; those of kernel workers are the longest.
const NAME_BYTES_MAX: usize = 32;

/// Bit of `flags` that marks a kernel thread (`PF_KTHREAD`).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Columns read, counted from the state.
const COLUMNS: usize = 22;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    bytes: [u8; NAME_BYTES_MAX],
    length: u8,
}

impl Name {
    pub(super) fn new(name: &[u8]) -> Self {
        let mut bytes = [0; NAME_BYTES_MAX];
        bytes
            .iter_mut()
            .zip(name)
            .for_each(|(to, from)| *to = *from);
        Self {
            bytes,
            length: name.len().min(NAME_BYTES_MAX) as u8,
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) name: Name,
    pub(super) state: u8,
    pub(super) parent: u32,
    pub(super) is_kernel_thread: bool,
    /// User and system time, in ticks.
    pub(super) ticks: u64,
    pub(super) threads: u32,
    /// Start time, in ticks since boot.
    pub(super) start_ticks: u64,
    pub(super) resident_pages: u64,
}

/// None if a required column is missing.
pub(super) fn parse(text: &[u8]) -> Option<Stat> {
    // A process chooses its name freely, including brackets and spaces.
    let open = text.iter().position(|&b| b == b'(')?;
    let close = text.iter().rposition(|&b| b == b')')?;
    let name = Name::new(text.get(open + 1..close)?);
    let mut columns = [None; COLUMNS];
    let rest = text.get(close + 1..)?.trim_ascii_start();
    let words = rest.split(u8::is_ascii_whitespace);
    // Only columns that are not used can be negative.
    columns
        .iter_mut()
        .zip(words)
        .for_each(|(to, word)| *to = number(word));
    let column = |at: usize| columns.get(at).copied().flatten();
    Some(Stat {
        name,
        state: *rest.first()?,
        parent: u32::try_from(column(1)?).ok()?,
        is_kernel_thread: column(6)? & KERNEL_THREAD != 0,
        ticks: column(11)?.saturating_add(column(12)?),
        threads: u32::try_from(column(17)?).ok()?,
        start_ticks: column(19)?,
        // Missing for zombies on some kernels.
        resident_pages: column(21).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NEW: &[u8] = b"7187 (cat) R 7185 7185 11346 0 -1 4194304 98 0 0 0 31 11 0 0 20 0 1 0 729447 3133440 382 18446744073709551615 94321030324224 94321030344105 140733148186592 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 94321030360112 94321030361728 94321497559040 140733148195359 140733148195379 140733148195379 140733148196843 0\n";
    /// Linux 2.6.9: fewer columns at the end.
    const OLD: &[u8] = b"1 (init) S 0 0 0 0 -1 256 1 2 3 4 5 6 7 8 16 0 1 0 35 1970176 120 4294967295 134512640 134541012 3221224848 3221224132 9 0 0 1475401980 671819267 0 0 0 0 0 0\n";

    #[test]
    fn lines_of_old_and_new_kernels_are_parsed() {
        let new = parse(NEW).unwrap();
        assert_eq!((new.ticks, new.threads, new.start_ticks), (42, 1, 729_447));
        assert_eq!(
            (new.resident_pages, new.parent, new.state),
            (382, 7185, b'R')
        );
        assert!(!new.is_kernel_thread);
        let old = parse(OLD).unwrap();
        assert_eq!(
            (old.ticks, old.start_ticks, old.resident_pages),
            (11, 35, 120)
        );
        let worker = b"5 (kworker/R-slub_) I 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 0 -20 1 0 4 0 0 0";
        assert!(parse(worker).unwrap().is_kernel_thread);
    }

    #[test]
    fn a_name_cannot_shift_the_columns() {
        let evil = b"9 (a) R 1 (\x1b[2J) 7 \xff) S 4 0 0 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 50 0 6\n";
        let stat = parse(evil).unwrap();
        assert_eq!((stat.state, stat.parent, stat.threads), (b'S', 4, 3));
        assert_eq!(stat.name.as_bytes(), b"a) R 1 (\x1b[2J) 7 \xff");
        let long = [b"1 (".as_slice(), &[b'x'; 5000], b") S 1"].concat();
        assert_eq!(parse(&long), None);
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..400) {
            let _ = parse(&bytes);
            let _ = parse(NEW.get(..cut).unwrap_or(NEW));
        }
    }
}
