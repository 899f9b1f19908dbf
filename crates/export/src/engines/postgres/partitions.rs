//! Days of rows: partitions that exist before they are needed, and are dropped after the retention.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Error};

const DAY_S: i64 = 86_400;

/// Days after the newest row for which there are partitions.
const DAYS_AHEAD: i64 = 2;

/// A table with a partition for each day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dated {
    Rows,
    Values,
    Minutes,
}

impl Dated {
    fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Values => "values",
            Self::Minutes => "minute_values",
        }
    }
}

/// The partitions that are known to exist.
#[derive(Debug)]
pub(super) struct Partitions {
    has_timescale: bool,
    days: BTreeMap<Dated, BTreeSet<i64>>,
}

impl Partitions {
    pub(super) fn new(has_timescale: bool) -> Self {
        Self {
            has_timescale,
            days: BTreeMap::new(),
        }
    }

    /// Creates the partitions for rows of these times, and drops those past the retention.
    pub(super) async fn ensure(
        &mut self,
        client: &Client,
        table: Dated,
        times: impl Iterator<Item = i64>,
        retention_days: Option<u32>,
    ) -> Result<(), Error> {
        let mut wanted: BTreeSet<i64> = times.map(|time| time.div_euclid(DAY_S * 1_000)).collect();
        let Some(newest) = wanted.last().copied() else {
            return Ok(());
        };
        let is_first = !self.days.contains_key(&table);
        let known = self.days.entry(table).or_default();
        if self.has_timescale {
            if let Some(days) = retention_days.filter(|_| is_first) {
                client.batch_execute(&policy(table, days)).await?;
            }
            return Ok(());
        }
        wanted.extend(newest..=newest + DAYS_AHEAD);
        let missing: Vec<i64> = wanted.difference(known).copied().collect();
        for day in &missing {
            client.batch_execute(&create(table, *day)).await?;
        }
        if let Some(kept) = retention_days.filter(|_| !missing.is_empty()) {
            client.batch_execute(&drop_before(table, kept)).await?;
        }
        known.extend(missing);
        Ok(())
    }
}

/// Removes the chunks that end before the retention.
fn policy(table: Dated, days: u32) -> String {
    let name = table.name();
    format!(
        "SELECT remove_retention_policy('sysmon.{name}', if_exists => true); \
         SELECT add_retention_policy('sysmon.{name}', interval '{days} days');"
    )
}

fn create(table: Dated, day: i64) -> String {
    let (name, from, to) = (table.name(), day * DAY_S, (day + 1) * DAY_S);
    // to_timestamp is no constant, but literals with an offset are.
    format!(
        "DO $$ BEGIN EXECUTE format('CREATE TABLE IF NOT EXISTS sysmon.%I PARTITION OF sysmon.{name} FOR VALUES FROM (%L) TO (%L)', \
         '{name}_' || to_char(to_timestamp({from}), 'YYYYMMDD'), to_timestamp({from}), to_timestamp({to})); END $$"
    )
}

/// Drops the partitions that end before the retention, by the server's clock.
fn drop_before(table: Dated, days: u32) -> String {
    let name = table.name();
    format!(
        "DO $$ DECLARE old text; BEGIN FOR old IN SELECT child.relname FROM pg_inherits \
         JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = 'sysmon.{name}'::regclass \
         AND child.relname ~ '^{name}_[0-9]{{8}}$' AND to_date(right(child.relname, 8), 'YYYYMMDD') + {days} < current_date - 1 \
         LOOP EXECUTE format('DROP TABLE sysmon.%I', old); END LOOP; END $$"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_a_day_of_a_table() {
        let made = create(Dated::Minutes, 1);
        assert!(made.contains("PARTITION OF sysmon.minute_values"), "{made}");
        assert!(made.contains("to_timestamp(86400), to_timestamp(172800)"));
        assert!(drop_before(Dated::Rows, 30).contains("'^rows_[0-9]{8}$'"));
    }
}
