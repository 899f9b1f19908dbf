//! Where each key of the configuration was set: file and line, or environment variable.

/// Where each key was set; of a key set twice, the later place counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locations(Vec<Location>);

/// Where a key was set, and each item of its list.
#[derive(Clone, Debug)]
struct Location {
    key: (&'static str, &'static str),
    place: String,
    items: Vec<String>,
}

/// The source of a value is not part of the value.
impl PartialEq for Locations {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Locations {
    pub(crate) fn record(
        &mut self,
        key: (&'static str, &'static str),
        place: String,
        items: Vec<String>,
    ) {
        self.0.push(Location { key, place, items });
    }

    /// The place of one item of a list, or of its key where the items have none.
    pub(crate) fn of_item(&self, section: &str, name: &str, item: usize) -> Option<&str> {
        let mut newest_first = self.0.iter().rev();
        let place = newest_first.find(|place| place.key == (section, name))?;
        Some(place.items.get(item).unwrap_or(&place.place))
    }

    /// The place of the first of `names` that was set, or the section's name.
    pub(crate) fn first_of(&self, section: &'static str, names: &[&'static str]) -> String {
        let place_of = |name: &&'static str| {
            let mut newest_first = self.0.iter().rev();
            newest_first.find(|place| place.key == (section, *name))
        };
        match names.iter().find_map(place_of) {
            Some(found) => found.place.clone(),
            None => format!("[{section}]"),
        }
    }
}
