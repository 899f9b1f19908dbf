//! Variable-length integers: LEB128, and zigzag for signed ones (Protocol Buffers encoding).

/// Appends `value` in 1 to 10 bytes, low seven bits first.
pub fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` so that small magnitudes of either sign are short.
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Reads what [`put_u64`] wrote and moves `bytes` past it; `None` if it is cut short or too long.
pub fn get_u64(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        let low = u64::from(byte & 0x7f);
        if i == 9 && low > 1 {
            return None;
        }
        value |= low << (7 * i);
        if byte < 0x80 {
            *bytes = bytes.get(i + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Reads what [`put_i64`] wrote.
pub fn get_i64(bytes: &mut &[u8]) -> Option<i64> {
    let zigzag = get_u64(bytes)?;
    Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_make_the_round_trip() {
        for value in [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            put_i64(&mut out, value);
            let mut rest = &out[..];
            assert_eq!(get_i64(&mut rest), Some(value));
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn cut_and_overlong_integers_are_refused() {
        assert_eq!(get_u64(&mut &[0x80u8][..]), None);
        assert_eq!(get_u64(&mut &[0xffu8; 11][..]), None);
    }
}
