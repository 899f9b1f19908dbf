//! The binary format of rows, byte by byte.

use super::copy::Copy;

#[test]
fn an_array_is_as_postgresql_reads_it() {
    let mut copy = Copy::new();
    copy.begin_row(2);
    copy.time(946_684_800_000 + 1);
    copy.floats([1.5, f64::NAN].into_iter());
    let bytes = copy.finish();
    let mut wanted = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    wanted.extend([0, 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 3, 232]);
    // Length, one dimension, has nulls, type, two elements from 1.
    wanted.extend([
        0, 0, 0, 36, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 2, 189, 0, 0, 0, 2, 0, 0, 0, 1,
    ]);
    wanted.extend([0, 0, 0, 8]);
    wanted.extend(1.5f64.to_be_bytes());
    wanted.extend([255, 255, 255, 255, 255, 255]);
    assert_eq!(bytes, wanted);
}
