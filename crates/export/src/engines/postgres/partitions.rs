//! Days of rows: partitions that exist before they are needed, and are dropped after the retention.

use std::collections::BTreeSet;

use tokio_postgres::{Client, Error};

use super::days;

const DAY_S: i64 = 86_400;

/// Days after the newest row for which there are partitions.
const DAYS_AHEAD: i64 = 2;

/// The partitions that are known to exist.
#[derive(Debug)]
pub(super) struct Partitions {
    has_timescale: bool,
    days: BTreeSet<i64>,
    has_retention: bool,
}

impl Partitions {
    pub(super) fn new(has_timescale: bool) -> Self {
        Self {
            has_timescale,
            days: BTreeSet::new(),
            has_retention: false,
        }
    }

    /// Creates the partitions for rows of these times, and drops those past the retention.
    pub(super) async fn ensure(
        &mut self,
        client: &Client,
        times: impl Iterator<Item = i64>,
        retention_days: Option<u32>,
    ) -> Result<(), Error> {
        if self.has_timescale {
            return self.set_retention(client, retention_days).await;
        }
        let mut wanted = days(times);
        let Some(newest) = wanted.last().copied() else {
            return Ok(());
        };
        wanted.extend(newest..=newest + DAYS_AHEAD);
        let missing: Vec<i64> = wanted.difference(&self.days).copied().collect();
        for day in &missing {
            client.batch_execute(&create(*day)).await?;
        }
        if let Some(kept) = retention_days.filter(|_| !missing.is_empty()) {
            drop_before(client, kept).await?;
        }
        self.days.extend(missing);
        Ok(())
    }

    async fn set_retention(&mut self, client: &Client, days: Option<u32>) -> Result<(), Error> {
        if let Some(days) = days.filter(|_| !self.has_retention) {
            let policy = format!(
                "SELECT remove_retention_policy('sysmon.rows', if_exists => true); \
                 SELECT add_retention_policy('sysmon.rows', interval '{days} days');"
            );
            client.batch_execute(&policy).await?;
        }
        self.has_retention = true;
        Ok(())
    }
}

fn create(day: i64) -> String {
    let (from, to) = (day * DAY_S, (day + 1) * DAY_S);
    // to_timestamp is no constant, but literals with an offset are.
    format!(
        "DO $$ BEGIN EXECUTE format('CREATE TABLE IF NOT EXISTS sysmon.%I PARTITION OF sysmon.rows FOR VALUES FROM (%L) TO (%L)', \
         'rows_' || to_char(to_timestamp({from}), 'YYYYMMDD'), to_timestamp({from}), to_timestamp({to})); END $$"
    )
}

/// Drops the partitions that end before the retention, by the server's clock.
async fn drop_before(client: &Client, days: u32) -> Result<(), Error> {
    let old = format!(
        "DO $$ DECLARE old text; BEGIN FOR old IN SELECT child.relname FROM pg_inherits \
         JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = 'sysmon.rows'::regclass \
         AND child.relname ~ '^rows_[0-9]{{8}}$' AND to_date(right(child.relname, 8), 'YYYYMMDD') + {days} < current_date - 1 \
         LOOP EXECUTE format('DROP TABLE sysmon.%I', old); END LOOP; END $$"
    );
    client.batch_execute(&old).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_day_and_of_the_night_between_two_have_partitions() {
        let day_ms = DAY_S * 1_000;
        let times = [0, day_ms - 1, day_ms, -1];
        assert_eq!(days(times.into_iter()), [-1, 0, 1].into());
        assert!(create(1).contains("to_timestamp(86400)"));
    }
}
