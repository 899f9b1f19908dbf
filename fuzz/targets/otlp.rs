//! Arbitrary bytes as an OTLP message: twice, so that the second meets the state of the first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sysmon_otlp::{Mapper, MapperLimits, Naming, decode};
use sysmon_wire::UnixMs;
use sysmon_wire::limits::{ROWS_PER_FRAME_MAX, SERIES_PER_HOST_MAX};

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = decode(bytes) else { return };
    let limits = MapperLimits {
        hosts: 3,
        oldest: UnixMs(1),
        newest: UnixMs(i64::MAX / 2),
    };
    let mut mapper = Mapper::new(Naming::Resource);
    for now in [UnixMs(1_000), UnixMs(2_000)] {
        let rejections = mapper.add(&request, limits, now, |_| Ok(()));
        assert!(rejections.text().len() < 4_096);
        assert!(mapper.hosts() <= 3);
        for feed in mapper.ready(now + Mapper::HOLD_MS) {
            assert!(
                feed.keys.len() <= SERIES_PER_HOST_MAX && feed.rows.len() <= ROWS_PER_FRAME_MAX + 1
            );
            for row in feed.rows {
                assert!(row.values.len() <= feed.keys.len() && row.time >= limits.oldest);
            }
        }
    }
});
