//! The ring against a model of plain rows.

use super::*;
use proptest::prelude::*;
use sysmon_wire::ABSENT;

/// Plain rows to compare with.
#[derive(Default)]
struct Model(Vec<(i64, Vec<i64>)>);

impl Model {
    fn read(&self, series: &[u32], from: i64, to: i64) -> Table {
        let rows: Vec<_> = self
            .0
            .iter()
            .filter(|r| (from..=to).contains(&r.0))
            .collect();
        let column = |&s: &u32| {
            let values = rows.iter().map(|r| r.1.get(s as usize).copied());
            let values: Vec<i64> = values.map(|v| v.unwrap_or(ABSENT)).collect();
            let has_values = values.iter().any(|v| *v != ABSENT);
            if has_values { values } else { Vec::new() }
        };
        Table {
            times: rows.iter().map(|r| r.0).collect(),
            columns: series.iter().map(column).collect(),
        }
    }
}

#[test]
fn sealed_and_unsealed_rows_read_as_one() {
    let mut ring = Ring::new();
    for n in 0..1500i64 {
        ring.append(UnixMs(n * 1000), &[n, n / 10, ABSENT]).unwrap();
    }
    assert_eq!(ring.sealed.len(), 2);
    assert_eq!((ring.rows(), ring.values()), (1500, 3000));
    let table = ring
        .read(&[0, 2], UnixMs(500_000), UnixMs(1_200_000))
        .unwrap();
    assert_eq!(table.columns[0], (500..=1200).collect::<Vec<i64>>());
    assert!(table.columns[1].is_empty());
    assert_eq!(ring.evict_before(UnixMs(600_000)), 512);
    assert_eq!(ring.oldest(), Some(UnixMs(512_000)));
}

#[test]
fn any_span_of_the_head_reads_the_same_from_its_nearest_mark() {
    let mut ring = Ring::new();
    let mut model = Model::default();
    for n in 0..400i64 {
        // Times repeat and jump, and the third series comes late.
        let time = n / 3 * 3_000 + (n % 7) / 6 * 200 + 1;
        let late = if n < 200 { ABSENT } else { -n };
        let values = vec![n * n, n / 100, late];
        let time = time.max(model.0.last().map_or(0, |row| row.0));
        ring.append(UnixMs(time), &values).unwrap();
        model.0.push((time, values));
    }
    assert_eq!(ring.sealed.len(), 0);
    let series = [0, 2, 1];
    let mut tail = Tail::default();
    for from in (0..400_000).step_by(997) {
        for length in [0, 1, 3_000, 90_000] {
            let (from, to) = (UnixMs(from), UnixMs(from + length));
            let expected = model.read(&series, from.0, to.0);
            assert_eq!(ring.read(&series, from, to).unwrap(), expected);
            let again = ring.follow(&mut Tail::default(), &series, from, to);
            assert_eq!(again.unwrap().times, expected.times);
        }
        let table = ring.follow(&mut tail, &series, UnixMs(from), UnixMs(from + 996));
        assert_eq!(
            table.unwrap().times,
            model.read(&series, from, from + 996).times
        );
    }
}

#[test]
fn gaps_in_chunks_and_heads_are_uncovered_but_slow_rows_leave_none() {
    let mut ring = Ring::new();
    let seconds = (0..900).chain(1200..1500).map(|n| n * 1000);
    seconds.for_each(|time| ring.append(UnixMs(time), &[1]).unwrap());
    let mut covered = [false; 10];
    ring.mark_covered(UnixMs(600_000), 100_000, &mut covered)
        .unwrap();
    assert_eq!(
        covered,
        [1, 1, 1, 0, 0, 0, 1, 1, 1, 0].map(|there| there == 1)
    );
    let mut slow = Ring::new();
    (0..30).for_each(|n| slow.append(UnixMs(n * 60_000), &[1]).unwrap());
    let mut covered = [false; 20];
    slow.mark_covered(UnixMs(0), 10_000, &mut covered).unwrap();
    assert_eq!(covered, [true; 20]);
}

#[test]
fn the_row_at_a_moment_is_the_newest_before_it() {
    let mut ring = Ring::new();
    ring.append(UnixMs(1000), &[1]).unwrap();
    ring.append(UnixMs(5000), &[5]).unwrap();
    assert_eq!(
        ring.at(&[0], UnixMs(0), UnixMs(4999)).unwrap(),
        Some((UnixMs(1000), vec![1]))
    );
    assert_eq!(
        ring.at(&[0], UnixMs(0), UnixMs(9000)).unwrap(),
        Some((UnixMs(5000), vec![5]))
    );
    assert_eq!(ring.at(&[0], UnixMs(6000), UnixMs(9000)).unwrap(), None);
}

/// What a store saves of a ring, and the ring restored from it.
#[derive(Default)]
struct Saved {
    chunks: Vec<Vec<u8>>,
    heads: [Vec<u8>; 2],
}

impl Saved {
    fn apply(&mut self, changes: Changes) {
        let chunks = changes.chunks.iter();
        self.chunks.extend(chunks.map(super::Chunk::encode));
        for (saved, changes) in self.heads.iter_mut().zip(changes.heads) {
            if changes.restarted {
                saved.clear();
            }
            saved.extend(changes.bytes);
        }
    }

    fn ring(&self, series: usize) -> Ring {
        let mut ring = Ring::recording();
        ring.restore_heads([&self.heads[0], &self.heads[1]], series);
        for chunk in self.chunks.iter().rev() {
            ring.restore_chunk(Chunk::decode(chunk).unwrap());
        }
        ring
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn saved_changes_restore_the_same_ring(
        starts in proptest::collection::vec((0i64..5000, 1usize..700), 1..6),
        every in 1usize..300,
    ) {
        let (mut ring, mut saved) = (Ring::recording(), Saved::default());
        let mut count = 0;
        for (series, (start, rows)) in starts.iter().enumerate() {
            for n in 0..*rows as i64 {
                let values: Vec<i64> = (0..=series as i64).map(|s| s * n % 7).collect();
                ring.append(UnixMs(start + n), &values).unwrap();
                count += 1;
                if count % every == 0 {
                    saved.apply(ring.take_changes());
                }
            }
        }
        saved.apply(ring.take_changes());
        prop_assert!(ring.take_changes().is_empty());
        let mut again = saved.ring(starts.len());
        prop_assert!(again.take_changes().is_empty(), "saved changes are not reported again");
        let all = |ring: &Ring| ring.read(&[0, 2], UnixMs(0), UnixMs(9000)).unwrap();
        let sorted = |table: Table| {
            let mut rows: Vec<_> = (0..table.times.len())
                .map(|n| (table.times[n], table.columns[0][n], table.columns[1].get(n).copied()))
                .collect();
            rows.sort_unstable();
            rows
        };
        prop_assert_eq!(sorted(all(&again)), sorted(all(&ring)));
        prop_assert_eq!(again.rows(), ring.rows());
        // The restored ring continues like the original.
        again.append(UnixMs(8000), &[1]).unwrap();
        prop_assert!(!again.take_changes().is_empty());
    }

    #[test]
    fn no_bytes_make_reading_a_chunk_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = bytes;
        prop_assert!(Chunk::decode(&bytes).is_err());
        // Also with a correct checksum.
        let checksum = crc32fast::hash(&bytes);
        bytes.extend(checksum.to_le_bytes());
        if let Ok(chunk) = Chunk::decode(&bytes) {
            let _ = (chunk.times(&mut Vec::new()), chunk.values(0, &mut Vec::new()));
        }
    }

    #[test]
    fn any_order_of_rows_reads_back_in_order_of_time(
        starts in proptest::collection::vec((0i64..5000, 1usize..400), 1..9),
        from in 0i64..6000, span in 0i64..6000,
    ) {
        let (mut ring, mut model) = (Ring::new(), Model::default());
        let mut used = std::collections::HashSet::new();
        for (series, (start, rows)) in starts.iter().enumerate() {
            for n in 0..*rows as i64 {
                let time = start + n;
                if used.insert(time) {
                    let values: Vec<i64> = (0..=series as i64).map(|s| s * time % 7).collect();
                    // Series are only added.
                    ring.append(UnixMs(time), &values).unwrap();
                    model.0.push((time, values));
                }
            }
        }
        model.0.sort_by_key(|row| row.0);
        let want = model.read(&[0, 3, 8], from, from + span);
        prop_assert_eq!(ring.read(&[0, 3, 8], UnixMs(from), UnixMs(from + span)).unwrap(), want);
        prop_assert_eq!(ring.rows(), model.0.len() as u64);
        prop_assert_eq!(ring.newest().map(|t| t.0), model.0.last().map(|r| r.0));
        prop_assert_eq!(ring.oldest().map(|t| t.0), model.0.first().map(|r| r.0));
    }

    /// Rows in any order, with sealing, eviction and restoring from disk in between.
    #[test]
    fn sealing_evicting_and_restoring_keep_the_rows_readable(
        steps in proptest::collection::vec((0i64..4000, 1usize..600, 0u8..6), 1..14),
        number in 0u32..1000, from in 0i64..5000, span in 0i64..5000,
    ) {
        let (mut ring, mut model) = (Ring::recording(), Model::default());
        ring.stagger(number);
        let (mut used, mut disk) = (std::collections::HashSet::new(), Vec::new());
        for (start, rows, then) in steps {
            for n in 0..rows as i64 {
                let time = start + n;
                if used.insert(time) {
                    let values = [time % 11, if time % 5 == 0 { ABSENT } else { time * time }];
                    ring.append(UnixMs(time), &values).unwrap();
                    model.0.push((time, values.to_vec()));
                }
            }
            match then {
                0 => ring.seal_heads(false).unwrap(),
                1 => ring.seal_heads(true).unwrap(),
                2 => { ring.evict_oldest(); }
                3 => { ring.evict_oldest(); ring.evict_oldest(); }
                _ => {}
            }
            disk.extend(ring.take_changes().chunks);
        }
        // Evicted chunks are on disk; restoring one that is present changes nothing.
        prop_assert!(disk.iter().all(|c| !ring.has_all_since(c.last()) || ring.has_chunk(c.first(), c.last())));
        for chunk in disk.iter().rev().chain(&disk) {
            ring.restore_chunk(chunk.clone());
        }
        model.0.sort_by_key(|row| row.0);
        let want = model.read(&[0, 1, 7], from, from + span);
        prop_assert_eq!(ring.read(&[0, 1, 7], UnixMs(from), UnixMs(from + span)).unwrap(), want);
        prop_assert_eq!(ring.rows(), model.0.len() as u64);
        let oldest_unsealed = ring.oldest_unsealed();
        ring.seal_heads(true).unwrap();
        prop_assert_eq!(ring.oldest_unsealed(), None);
        let sealed_now = ring.take_changes().chunks;
        prop_assert_eq!(oldest_unsealed, sealed_now.iter().map(Chunk::first).min());
        let counted: usize = ring.sealed.iter().map(Chunk::bytes).sum();
        prop_assert_eq!(ring.sealed_bytes, counted);
    }

    #[test]
    fn eviction_removes_exactly_the_chunks_before_the_horizon(
        rows in proptest::collection::vec(0i64..3000, 1..1500), horizon in 0i64..3000,
    ) {
        let (mut ring, mut model) = (Ring::new(), Model::default());
        for (at, time) in rows.iter().enumerate() {
            ring.append(UnixMs(*time), &[at as i64]).unwrap();
            model.0.push((*time, vec![at as i64]));
        }
        let before = ring.rows();
        let gone = ring.evict_before(UnixMs(horizon));
        prop_assert_eq!(ring.rows(), before - gone);
        let sorted = |table: Table| {
            let mut rows: Vec<_> = table.times.iter().copied().zip(table.columns[0].clone()).collect();
            rows.sort_unstable();
            rows
        };
        let rest = ring.read(&[0], UnixMs(horizon), UnixMs(3000)).unwrap();
        prop_assert_eq!(sorted(rest), sorted(model.read(&[0], horizon, 3000)));
        prop_assert!(ring.sealed.iter().all(|chunk| chunk.last() >= UnixMs(horizon)));
    }
}

#[test]
fn borrowed_chunks_are_read_without_changing_the_ring() {
    let seal = |times: &[i64]| Chunk::seal(times, [times]).unwrap();
    let (old, shared) = (seal(&[1, 5, 9]), seal(&[10, 20]));
    let mut ring = Ring::new();
    ring.restore_chunk(shared.clone());
    ring.append(UnixMs(7), &[7]).unwrap();
    ring.append(UnixMs(30), &[30]).unwrap();
    let before = (ring.rows(), ring.bytes(), ring.oldest());
    let table = ring
        .read_with(&[&old, &shared], &[0], UnixMs(5), UnixMs(30))
        .unwrap();
    assert_eq!(table.times, [5, 7, 9, 10, 20, 30]);
    assert_eq!(table.columns, std::slice::from_ref(&table.times));
    let at = ring.at_with(&[&old], &[0], UnixMs(0), UnixMs(6)).unwrap();
    assert_eq!(at, Some((UnixMs(5), vec![5])));
    assert_eq!((ring.rows(), ring.bytes(), ring.oldest()), before);
}

proptest! {
    /// Somebody follows the ring, sometimes asks again for what it has read, and sees what a single read shows.
    #[test]
    fn following_a_ring_shows_what_reading_it_shows(
        steps in prop::collection::vec((0i64..4, 1usize..5, any::<bool>(), 0i64..6), 1..200),
    ) {
        let (mut ring, mut tail) = (Ring::new(), Tail::default());
        let (mut time, mut read_to) = (0, 0);
        for (by, width, is_late, again) in steps {
            time += by;
            let at = if is_late && by == 0 { time / 2 } else { time };
            ring.append(UnixMs(at), &vec![at * 3; width]).unwrap();
            if by == 3 {
                ring.seal_heads(is_late).unwrap();
            }
            let from = UnixMs((read_to + 1 - again * i64::from(again > 3)).max(0));
            let to = UnixMs(time - i64::from(again == 1));
            let followed = ring.follow(&mut tail, &[0, 2, 4], from, to).unwrap();
            prop_assert_eq!(followed, ring.read(&[0, 2, 4], from, to).unwrap());
            read_to = to.0;
        }
    }
}
