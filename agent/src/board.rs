//! The series of a run and their values in the current sample.

use std::collections::HashMap;

use sysmon_wire::limits::SERIES_PER_HOST_MAX;
use sysmon_wire::{ABSENT, LimitGauge, LimitState, SeriesKey};

/// Released columns past which the table is made anew.
const RELEASED_MAX: usize = 512;

/// Slots that may exist at a time, those without a column included: what all collectors may list together is less.
const SLOTS_MAX: usize = 4 * SERIES_PER_HOST_MAX;

/// A place on the board for the values of one series; it belongs to the collector that requested it until [`Board::release`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(Option<u32>);

impl Slot {
    pub const NONE: Self = Self(None);
}

#[derive(Debug)]
struct Place {
    key: SeriesKey,
    /// None while the limit of series is reached.
    column: Option<u32>,
    holders: u32,
}

/// The series of what exists now, with their current values, as columns of a table.
///
/// Columns are only ever appended, so that an index means the same as long as [`Self::table`] does. Those of released
/// slots are dropped from time to time, which makes a new table.
#[derive(Debug)]
pub struct Board {
    columns: Vec<SeriesKey>,
    values: Vec<i64>,
    places: Vec<Option<Place>>,
    vacant: Vec<u32>,
    slots: HashMap<SeriesKey, u32>,
    released: usize,
    waiting: usize,
    table: u64,
    limit: LimitGauge,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            values: Vec::new(),
            places: Vec::new(),
            vacant: Vec::new(),
            slots: HashMap::new(),
            released: 0,
            waiting: 0,
            table: 0,
            limit: LimitGauge::new("series", SERIES_PER_HOST_MAX),
        }
    }
}

impl Board {
    pub fn new() -> Self {
        Self::default()
    }

    /// The slot of a series, which is added if it is new. Past the limit of series, its values are left out until
    /// another series is released.
    pub fn slot(&mut self, key: SeriesKey) -> Slot {
        if let Some(&slot) = self.slots.get(&key) {
            if let Some(Some(place)) = self.places.get_mut(slot as usize) {
                if place.holders == 0 && place.column.is_some() {
                    self.released -= 1;
                }
                place.holders = place.holders.saturating_add(1);
            }
            return Slot(Some(slot));
        }
        if self.slots.len() >= SLOTS_MAX {
            self.limit.leave_out(1);
            return Slot::NONE;
        }
        let mut place = Place {
            key: key.clone(),
            column: None,
            holders: 1,
        };
        if !self.append(&mut place) {
            self.waiting += 1;
            self.limit.leave_out(1);
        }
        let slot = self.vacant.pop().unwrap_or(self.places.len() as u32);
        self.slots.insert(key, slot);
        match self.places.get_mut(slot as usize) {
            Some(vacant) => *vacant = Some(place),
            None => self.places.push(Some(place)),
        }
        Slot(Some(slot))
    }

    fn append(&mut self, place: &mut Place) -> bool {
        if self.columns.len() >= SERIES_PER_HOST_MAX {
            return false;
        }
        place.column = Some(self.columns.len() as u32);
        self.columns.push(place.key.clone());
        self.values.push(ABSENT);
        true
    }

    /// Gives up a slot because what it describes no longer exists, and clears its value.
    pub fn release(&mut self, slot: Slot) {
        let Some(number) = slot.0 else { return };
        let Some(Some(place)) = self.places.get_mut(number as usize) else {
            return;
        };
        place.holders = place.holders.saturating_sub(1);
        if place.holders > 0 {
            return;
        }
        if place.column.is_some() {
            self.clear(slot);
            self.released += 1;
        } else {
            self.waiting -= 1;
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u32) {
        let place = self.places.get_mut(number as usize).and_then(Option::take);
        if let Some(place) = place {
            self.slots.remove(&place.key);
            self.vacant.push(number);
        }
    }

    /// Makes a new table without the released series where that is worth it. Called before a sample.
    pub fn tidy(&mut self) {
        let is_needed = self.waiting > 0 && self.released > 0;
        if !is_needed && self.released < RELEASED_MAX {
            return;
        }
        let before = std::mem::take(&mut self.values);
        self.columns.clear();
        self.table += 1;
        let mut order: Vec<(Option<u32>, u32)> = Vec::with_capacity(self.slots.len());
        let places = self.places.iter().enumerate();
        order.extend(places.filter_map(|(at, place)| Some((place.as_ref()?.column, at as u32))));
        // Those that wait come last.
        order.sort_by_key(|(column, at)| (column.unwrap_or(u32::MAX), *at));
        for (column, number) in order {
            let place = self.places.get_mut(number as usize).and_then(Option::take);
            let Some(mut place) = place else { continue };
            if place.holders == 0 {
                self.slots.remove(&place.key);
                self.vacant.push(number);
                continue;
            }
            let value = column.and_then(|column| before.get(column as usize));
            let is_appended = self.append(&mut place);
            if is_appended && column.is_none() {
                self.waiting -= 1;
            }
            if let (true, Some(value), Some(to)) = (is_appended, value, self.values.last_mut()) {
                *to = *value;
            }
            if let Some(empty) = self.places.get_mut(number as usize) {
                *empty = Some(place);
            }
        }
        self.released = 0;
    }

    pub fn set(&mut self, slot: Slot, value: i64) {
        let place = slot
            .0
            .and_then(|slot| self.places.get(slot as usize)?.as_ref());
        let column = place.and_then(|place| place.column);
        if let Some(to) = column.and_then(|column| self.values.get_mut(column as usize)) {
            *to = value;
        }
    }

    /// A value beyond the signed range is stored as absent.
    pub fn set_u64(&mut self, slot: Slot, value: u64) {
        self.set(slot, i64::try_from(value).unwrap_or(ABSENT));
    }

    pub fn set_or_clear(&mut self, slot: Slot, value: Option<i64>) {
        self.set(slot, value.unwrap_or(ABSENT));
    }

    pub fn clear(&mut self, slot: Slot) {
        self.set(slot, ABSENT);
    }

    pub fn keys(&self) -> &[SeriesKey] {
        &self.columns
    }

    pub fn values(&self) -> &[i64] {
        &self.values
    }

    /// Changes whenever [`Self::keys`] changes other than by appending.
    pub fn table(&self) -> u64 {
        self.table
    }

    /// The series that exist now, those without a column included.
    pub fn series(&self) -> usize {
        self.columns.len() - self.released + self.waiting
    }

    /// How the limit of series stands.
    pub fn limit(&self) -> LimitState {
        let mut limit = self.limit.clone();
        limit.set_current(self.series());
        limit.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sysmon_wire::metrics::DISK_PENDING;

    fn key(device: usize) -> SeriesKey {
        DISK_PENDING.series(&[("system.device", &device.to_string())])
    }

    fn value(board: &Board, device: usize) -> i64 {
        let at = board.keys().iter().position(|known| *known == key(device));
        at.map_or(ABSENT, |at| board.values()[at])
    }

    #[test]
    fn series_that_come_and_go_do_not_use_up_the_limit() {
        let mut board = Board::new();
        let stays = board.slot(key(0));
        for device in 1..3 * SERIES_PER_HOST_MAX {
            let slot = board.slot(key(device));
            board.set(slot, 7);
            board.set(stays, device as i64);
            assert_eq!(value(&board, device), 7);
            board.release(slot);
            board.tidy();
            assert_eq!(value(&board, device), ABSENT);
            assert_eq!(value(&board, 0), device as i64);
            assert!(board.keys().len() <= RELEASED_MAX + 2);
        }
        assert_eq!((board.series(), board.limit().reached_total), (1, 0));
    }

    #[test]
    fn only_the_surplus_is_left_out_and_only_while_it_exceeds_the_limit() {
        let mut board = Board::new();
        let slots: Vec<_> = (0..SERIES_PER_HOST_MAX)
            .map(|n| board.slot(key(n)))
            .collect();
        let surplus = board.slot(key(9_999));
        board.set(surplus, 1);
        board.tidy();
        assert_eq!(value(&board, 9_999), ABSENT);
        assert!(board.limit().is_reached());
        assert_eq!(board.limit().reached_total, 1);
        assert_eq!(board.series(), SERIES_PER_HOST_MAX + 1);
        board.set(slots[1], 11);
        board.release(slots[0]);
        board.tidy();
        board.set(surplus, 1);
        assert_eq!((value(&board, 9_999), value(&board, 1)), (1, 11));
        assert_eq!(board.series(), SERIES_PER_HOST_MAX);
    }

    #[test]
    fn a_series_lives_until_its_last_holder_releases_it() {
        let mut board = Board::new();
        let (first, second) = (board.slot(key(1)), board.slot(key(1)));
        assert_eq!(first, second);
        board.set(first, 3);
        board.release(first);
        assert_eq!(value(&board, 1), 3);
        board.release(second);
        assert_eq!(value(&board, 1), ABSENT);
        let again = board.slot(key(1));
        board.set(again, 4);
        assert_eq!((value(&board, 1), board.keys().len()), (4, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn values_stay_with_their_series(steps in proptest::collection::vec((0usize..12, 0u8..3), 1..120)) {
            let mut board = Board::new();
            let mut held: HashMap<usize, (Slot, i64)> = HashMap::new();
            for (at, (device, step)) in steps.into_iter().enumerate() {
                match (step, held.contains_key(&device)) {
                    (0, false) => { held.insert(device, (board.slot(key(device)), ABSENT)); }
                    (1, true) => board.release(held.remove(&device).unwrap().0),
                    (_, true) => {
                        let (slot, value) = held.get_mut(&device).unwrap();
                        *value = at as i64;
                        board.set(*slot, *value);
                    }
                    _ => {}
                }
                if at % 7 == 0 {
                    // As if the columns were many.
                    board.waiting += 1;
                    board.tidy();
                    board.waiting -= 1;
                }
                for device in 0..12 {
                    let wanted = held.get(&device).map_or(ABSENT, |(_, value)| *value);
                    prop_assert_eq!(value(&board, device), wanted);
                }
                prop_assert_eq!(board.series(), held.len());
            }
        }
    }
}
