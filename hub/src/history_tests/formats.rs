//! Histories as earlier versions left them, recorded as SQL: each is migrated and has every row.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::*;

/// The formats that this version opens, the present one last.
const FORMATS: [i64; 2] = [4, 5];

const NOW: UnixMs = UnixMs(1_000 * HOUR_MS);
const HOURS: i64 = 3;

fn record(format: i64) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/history_tests/formats");
    folder.join(format!("format-{format}.sql"))
}

/// Writes the history as it was recorded.
fn recorded(format: i64, path: &Path) {
    let connection = Connection::open(path).unwrap();
    let sql = fs::read_to_string(record(format)).unwrap();
    connection.execute_batch(&sql).unwrap();
}

/// What a history consists of: tables, rows, and what would count the rows again last.
fn dump(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    let strings = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let found = statement.query_map([], |row| row.get(0)).unwrap();
        found.map(Result::unwrap).collect()
    };
    let made = |which: &str| {
        strings(&format!(
            "SELECT sql FROM sqlite_schema WHERE {which} AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        ))
    };
    let mut text = String::from(
        "-- A history with a few rows as one format had it; what migrates is tested with it.\n\
         PRAGMA auto_vacuum = INCREMENTAL;\nPRAGMA journal_mode = WAL;\n",
    );
    made("type = 'table'")
        .iter()
        .for_each(|sql| writeln!(text, "{sql};").unwrap());
    for table in strings(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    ) {
        let columns = strings(&format!("SELECT name FROM pragma_table_info('{table}')"));
        let quoted: Vec<_> = columns
            .iter()
            .map(|column| format!("quote(\"{column}\")"))
            .collect();
        let values = quoted.join(" || ',' || ");
        for row in strings(&format!("SELECT {values} FROM {table} ORDER BY 1")) {
            writeln!(text, "INSERT INTO {table} VALUES ({row});").unwrap();
        }
    }
    made("type != 'table'")
        .iter()
        .for_each(|sql| writeln!(text, "{sql};").unwrap());
    let format: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    writeln!(text, "PRAGMA user_version = {format};").unwrap();
    text
}

/// The rows of its host, and the counts of its minutes.
fn content(path: &Path) -> (Vec<(i64, i64)>, Vec<i64>) {
    let mut store = Store::open(path).unwrap();
    let mut core = Core::new(crate::fleet::FleetOptions {
        retention: Duration::from_hours(24 * 9),
        ..crate::core::tests::options()
    });
    for host in store.load().unwrap() {
        core.restore(host);
    }
    let reader = Reader::open(path).unwrap();
    for place in reader.newest_first(UnixMs(0)).unwrap() {
        let (name, chunk) = reader.read(place).unwrap().unwrap();
        core.fleet.restore_chunk(&name, chunk);
    }
    let host = core.fleet.host(core.fleet.find("a").unwrap()).unwrap();
    assert_eq!(host.facts.os, "Debian GNU/Linux 12");
    let rows = host.ring.read(&[0], UnixMs(0), UnixMs(i64::MAX)).unwrap();
    let times = rows.times.iter().copied();
    let rows = times.zip(rows.columns[0].iter().copied()).collect();
    let key = CPU_UTILIZATION.series(&[]);
    let minutes = reader
        .buckets(&"a".into(), Tier::Minute, &[key], UnixMs(0), NOW)
        .unwrap();
    let mut counts = Vec::new();
    for (chunk, _) in minutes.of(0) {
        chunk.values(0, &mut counts).unwrap();
    }
    (rows, counts)
}

/// The history that was recorded; a change of the format is recorded again, under its new number.
fn written(path: &Path) {
    let (mut store, mut core) = filled(path, HOURS, NOW);
    let id = core.fleet.find("a").unwrap();
    let facts = sysmon_wire::HostFacts {
        os: "Debian GNU/Linux 12".into(),
        ..sysmon_wire::HostFacts::unknown()
    };
    core.fleet.set_facts(id, facts);
    store.commit(&core.take_batch(NOW)).unwrap();
    while store.roll_up(NOW).unwrap() {}
}

#[test]
fn what_is_written_is_the_recorded_present_format() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    written(&path);
    let present = FORMATS[FORMATS.len() - 1];
    let text = dump(&path);
    assert!(text.ends_with(&format!("user_version = {present};\n")));
    if std::env::var_os("SYSMON_RECORD").is_some() {
        fs::write(record(present), &text).unwrap();
    }
    assert!(
        text == fs::read_to_string(record(present)).unwrap(),
        "the format of the history has changed: give it a new version and a step in sysmon_store::store::migrate, and record \
         it with SYSMON_RECORD=1"
    );
}

#[test]
fn histories_of_earlier_formats_are_migrated_with_every_row_and_a_copy_beside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("written.db");
    written(&path);
    let (rows, minutes) = content(&path);
    assert_eq!((rows.len() as i64, minutes.len()), (HOURS * 360, 60));
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        recorded(format, &path);
        let copy = dir.path().join(format!("history.format-{format}.db"));
        let is_old = format != FORMATS[FORMATS.len() - 1];
        let migration = Store::migration(&path).unwrap();
        assert_eq!(migration.is_some(), is_old);
        if let Some(migration) = migration {
            assert_eq!((migration.from, &migration.copy), (format, &copy));
            assert!(!migration.changes.is_empty());
        }
        assert!(!copy.exists(), "looking changes nothing");
        assert_eq!(content(&path), (rows.clone(), minutes.clone()), "{format}");
        assert_eq!(Store::migration(&path).unwrap(), None);
        assert_eq!(copy.exists(), is_old);
        if is_old {
            let was = Store::migration(&copy).unwrap().unwrap();
            assert_eq!(was.from, format, "the copy is as the history was");
        }
        // It is used like any other, and has the tables and indices of a new one.
        let mut store = Store::open(&path).unwrap();
        assert_eq!(store.events().unwrap().len(), 1);
        store.load().unwrap();
        let schema = |path: &Path| {
            let mut lines: Vec<String> = dump(path).lines().map(str::to_owned).collect();
            lines.retain(|line| line.starts_with("CREATE"));
            lines.sort();
            lines
        };
        assert_eq!(schema(&path), schema(&new_beside(&path)), "{format}");
    }
}

/// A new history.
fn new_beside(path: &Path) -> PathBuf {
    let new = path.with_file_name("new.db");
    drop(Store::open(&new).unwrap());
    new
}

#[test]
fn a_history_that_cannot_be_copied_is_not_migrated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    recorded(4, &path);
    // In the place of the copy is what cannot be replaced.
    fs::create_dir_all(dir.path().join("history.format-4.db/x")).unwrap();
    let error = Store::open(&path).unwrap_err().to_string();
    assert!(error.contains("history.format-4.db"), "{error}");
    assert!(error.contains("make room"), "{error}");
    assert_eq!(Store::migration(&path).unwrap().unwrap().from, 4);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().collect();
    assert!(
        !left
            .iter()
            .any(|entry| entry.file_name().to_string_lossy().ends_with(".new")),
        "{left:?}"
    );
}
