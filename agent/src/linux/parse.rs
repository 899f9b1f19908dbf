//! Words and numbers in the kernel's text files, in place.

pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&b| b == b'\n').filter(|line| !line.is_empty())
}

pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| matches!(b, b' ' | b'\t'))
        .filter(|word| !word.is_empty())
}

/// None for anything but decimal digits, and on overflow.
pub(super) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|d| *d <= 9)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A number with exactly two decimals, in hundredths: `1.05` is 105.
pub(super) fn hundredths(word: &[u8]) -> Option<u64> {
    let point = word.iter().position(|&b| b == b'.')?;
    let (whole, fraction) = (word.get(..point)?, word.get(point + 1..)?);
    let cents = number(fraction)?;
    (fraction.len() == 2).then_some(number(whole)?.checked_mul(100)?.checked_add(cents)?)
}

/// The leading numbers of a line and their count, at most `N`; the first word that is not a number ends them.
pub(super) fn numbers<'a, const N: usize>(
    words: impl Iterator<Item = &'a [u8]>,
) -> ([u64; N], usize) {
    let mut out = [0; N];
    let mut count = 0;
    for (place, word) in out.iter_mut().zip(words) {
        let Some(value) = number(word) else { break };
        *place = value;
        count += 1;
    }
    (out, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_and_words_are_parsed() {
        assert_eq!(number(b"184"), Some(184));
        assert_eq!(number(b""), None);
        assert_eq!(number(b"-1"), None);
        assert_eq!(number(b"99999999999999999999"), None);
        assert_eq!(hundredths(b"12.07"), Some(1207));
        assert_eq!(hundredths(b"12"), None);
        assert_eq!(numbers::<3>(words(b" 1  2 x 4")), ([1, 2, 0], 2));
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (number(&bytes), hundredths(&bytes), numbers::<4>(words(&bytes)));
        }
    }
}
