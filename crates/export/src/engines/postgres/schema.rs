//! The schema `sysmon`: its tables, and bringing an older one up to date.

/// The version that this program writes.
pub(super) const VERSION: i32 = 1;

/// What takes a schema from each version to the next.
pub(super) const MIGRATIONS: [&str; VERSION as usize] = [FIRST];

/// Rows are arrays: a value costs some three bytes, where a table with a row for each would need fifty. `layout` says
/// which series the values are of. Who asks for `narrow` gets such a table nevertheless. A cursor changes in the
/// transaction of its rows.
const FIRST: &str = "
CREATE TABLE sysmon.hubs (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity text NOT NULL UNIQUE,
    name text NOT NULL
);
CREATE TABLE sysmon.cursors (
    hub integer NOT NULL REFERENCES sysmon.hubs,
    destination text NOT NULL,
    state text NOT NULL,
    updated timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (hub, destination)
);
CREATE TABLE sysmon.hosts (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hub integer NOT NULL REFERENCES sysmon.hubs,
    name text NOT NULL,
    os text NOT NULL DEFAULT '',
    kernel text NOT NULL DEFAULT '',
    arch text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}',
    UNIQUE (hub, name)
);
CREATE TABLE sysmon.series (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metric text NOT NULL,
    unit text NOT NULL,
    kind text NOT NULL,
    attributes jsonb NOT NULL,
    UNIQUE (metric, unit, kind, attributes)
);
CREATE TABLE sysmon.layouts (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series integer[] NOT NULL
);
CREATE INDEX layouts_series ON sysmon.layouts USING hash (series);
CREATE TABLE sysmon.rows (
    time timestamptz NOT NULL,
    host integer NOT NULL,
    layout integer NOT NULL,
    values float8[] COMPRESSION lz4 NOT NULL,
    PRIMARY KEY (host, time)
) {partitioned};
CREATE TABLE sysmon.values (
    time timestamptz NOT NULL,
    host integer NOT NULL,
    series integer NOT NULL,
    value float8 NOT NULL,
    PRIMARY KEY (series, host, time)
) {partitioned};
CREATE TABLE sysmon.minute_values (
    time timestamptz NOT NULL,
    host integer NOT NULL,
    series integer NOT NULL,
    count integer NOT NULL,
    min float8 NOT NULL,
    mean float8 NOT NULL,
    max float8 NOT NULL,
    last float8 NOT NULL,
    PRIMARY KEY (series, host, time)
) {partitioned};
CREATE TABLE sysmon.events (
    hub integer NOT NULL REFERENCES sysmon.hubs,
    id bigint NOT NULL,
    time timestamptz NOT NULL,
    host text NOT NULL,
    kind text NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (hub, id)
);
CREATE INDEX events_time ON sysmon.events (time);
CREATE VIEW sysmon.samples AS
    SELECT rows.time, hosts.name AS host, series.metric, series.attributes, sample.value, hubs.name AS hub, series.unit, series.kind
    FROM sysmon.rows
    JOIN sysmon.hosts ON hosts.id = rows.host
    JOIN sysmon.hubs ON hubs.id = hosts.hub
    JOIN sysmon.layouts ON layouts.id = rows.layout
    CROSS JOIN LATERAL unnest(layouts.series, rows.values) AS sample (series, value)
    JOIN sysmon.series ON series.id = sample.series
    WHERE sample.value IS NOT NULL
    UNION ALL
    SELECT narrow.time, hosts.name, series.metric, series.attributes, narrow.value, hubs.name, series.unit, series.kind
    FROM sysmon.values AS narrow
    JOIN sysmon.hosts ON hosts.id = narrow.host
    JOIN sysmon.hubs ON hubs.id = hosts.hub
    JOIN sysmon.series ON series.id = narrow.series;
CREATE VIEW sysmon.minutes AS
    SELECT minute.time, hosts.name AS host, series.metric, series.attributes, minute.min, minute.mean, minute.max,
        minute.last, minute.count, hubs.name AS hub, series.kind,
        CASE series.kind WHEN 'counter' THEN series.unit || '/s' ELSE series.unit END AS unit
    FROM sysmon.minute_values AS minute
    JOIN sysmon.hosts ON hosts.id = minute.host
    JOIN sysmon.hubs ON hubs.id = hosts.hub
    JOIN sysmon.series ON series.id = minute.series;
CREATE VIEW sysmon.alerts AS
    SELECT fired.time AS since, hosts.name AS hub, fired.host, fired.kind AS severity, fired.message,
        (SELECT min(resolved.time) FROM sysmon.events AS resolved
         WHERE resolved.hub = fired.hub AND resolved.host = fired.host AND resolved.kind = 'resolved'
           AND resolved.id > fired.id AND resolved.message = fired.message) AS resolved
    FROM sysmon.events AS fired JOIN sysmon.hubs AS hosts ON hosts.id = fired.hub
    WHERE fired.kind IN ('warning', 'critical');
";

/// The statements of a migration, for a server with TimescaleDB or without.
pub(super) fn migration(text: &str, has_timescale: bool) -> String {
    let partitioned = match has_timescale {
        true => "",
        false => "PARTITION BY RANGE (time)",
    };
    text.replace("{partitioned}", partitioned)
}

/// Makes hypertables: chunks of a day, and of a week for minutes, compressed once they are two hours older than that.
pub(super) const HYPERTABLES: &str = "
SELECT create_hypertable('sysmon.rows', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE sysmon.rows SET (timescaledb.compress, timescaledb.compress_segmentby = 'host', timescaledb.compress_orderby = 'time');
SELECT add_compression_policy('sysmon.rows', interval '26 hours');
SELECT create_hypertable('sysmon.values', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE sysmon.values SET (timescaledb.compress, timescaledb.compress_segmentby = 'series', timescaledb.compress_orderby = 'host, time');
SELECT add_compression_policy('sysmon.values', interval '26 hours');
SELECT create_hypertable('sysmon.minute_values', 'time', chunk_time_interval => interval '7 days');
ALTER TABLE sysmon.minute_values SET (timescaledb.compress, timescaledb.compress_segmentby = 'series', timescaledb.compress_orderby = 'host, time');
SELECT add_compression_policy('sysmon.minute_values', interval '170 hours');
";
