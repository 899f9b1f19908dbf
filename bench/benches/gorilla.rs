//! Gorilla, for comparison: the time series encoding of Pelkonen et al., "Gorilla: A Fast, Scalable, In-Memory
//! Time Series Database", VLDB 2015, section 4.1. One block contains one series.

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    count: u32,
}

impl BitWriter {
    fn put(&mut self, value: u64, bits: u32) {
        if bits > 32 {
            self.put(value >> 32, bits - 32);
            return self.put(value & 0xffff_ffff, 32);
        }
        self.pending = self.pending << bits | (value & ((1 << bits) - 1));
        self.count += bits;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.pending >> self.count) as u8);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
        self.bytes
    }
}

/// Reads what [`BitWriter`] wrote; zeros after the end.
struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl BitReader<'_> {
    fn take(&mut self, bits: u32) -> u64 {
        if bits > 32 {
            let high = self.take(bits - 32);
            return high << 32 | self.take(32);
        }
        if bits == 0 {
            return 0;
        }
        let byte = self.at / 8;
        let window = match self.bytes.get(byte..).and_then(|b| b.first_chunk::<8>()) {
            Some(eight) => u64::from_be_bytes(*eight),
            None => (0..8).fold(0, |window, n| {
                window << 8 | u64::from(self.bytes.get(byte + n).copied().unwrap_or(0))
            }),
        };
        let value = window << (self.at % 8) >> (64 - bits);
        self.at += bits as usize;
        value
    }

    /// Reads ones up to a zero, at most `max`.
    fn ones(&mut self, max: u32) -> u32 {
        (0..max).take_while(|_| self.take(1) == 1).count() as u32
    }
}

/// The range of bits that differed in the previous value.
#[derive(Clone, Copy, Default)]
struct Window {
    leading: u32,
    bits: u32,
}

/// Bits of the difference between two time deltas, by the number of leading ones that announce it.
const TIME_BITS: [u32; 5] = [0, 7, 9, 12, 32];

/// Bits of the first time delta: a block covers at most four hours.
const FIRST_DELTA_BITS: u32 = 14;

#[derive(Default)]
pub(crate) struct Encoder {
    out: BitWriter,
    rows: usize,
    time: i64,
    delta: i64,
    value: u64,
    window: Option<Window>,
}

impl Encoder {
    /// Appends a value; `time` in seconds, as in the paper.
    pub(crate) fn push(&mut self, time: i64, value: f64) {
        self.put_time(time);
        self.put_value(value.to_bits());
        self.rows += 1;
    }

    fn put_time(&mut self, time: i64) {
        let delta = time - self.time;
        match self.rows {
            0 => self.out.put(time as u64, 64),
            1 => self.out.put(delta as u64, FIRST_DELTA_BITS),
            _ => {
                let change = delta - self.delta;
                let class = match change {
                    0 => 0,
                    -63..=64 => 1,
                    -255..=256 => 2,
                    -2047..=2048 => 3,
                    _ => 4,
                };
                // As many ones as the class says, and a zero after all but the last.
                let ones = (1u64 << class) - 1;
                if class < 4 {
                    self.out.put(ones << 1, class + 1);
                } else {
                    self.out.put(ones, 4);
                }
                let bits = TIME_BITS.get(class as usize).copied().unwrap_or(0);
                self.out.put(change as u64, bits);
            }
        }
        self.delta = if self.rows == 0 { 0 } else { delta };
        self.time = time;
    }

    fn put_value(&mut self, value: u64) {
        let xor = value ^ self.value;
        self.value = value;
        if self.rows == 0 {
            return self.out.put(value, 64);
        }
        if xor == 0 {
            return self.out.put(0, 1);
        }
        let leading = xor.leading_zeros().min(31);
        let trailing = xor.trailing_zeros();
        let fits = self
            .window
            .filter(|w| leading >= w.leading && trailing >= 64 - w.leading - w.bits);
        let window = if let Some(window) = fits {
            self.out.put(0b10, 2);
            window
        } else {
            let bits = 64 - leading - trailing;
            self.out.put(0b11, 2);
            self.out.put(u64::from(leading), 5);
            // 64 does not fit into six bits, and 0 never is.
            self.out.put(u64::from(bits % 64), 6);
            Window { leading, bits }
        };
        self.out
            .put(xor >> (64 - window.leading - window.bits), window.bits);
        self.window = Some(window);
    }

    pub(crate) fn finish(self) -> Block {
        Block {
            rows: self.rows,
            bytes: self.out.finish(),
        }
    }
}

pub(crate) struct Block {
    rows: usize,
    bytes: Vec<u8>,
}

impl Block {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends its first `rows` values.
    pub(crate) fn read(&self, rows: usize, times: &mut Vec<i64>, values: &mut Vec<f64>) {
        let mut bits = BitReader {
            bytes: &self.bytes,
            at: 0,
        };
        let (mut time, mut delta, mut value) = (0i64, 0i64, 0u64);
        let mut window = Window::default();
        for row in 0..rows.min(self.rows) {
            match row {
                0 => time = bits.take(64) as i64,
                1 => delta = bits.take(FIRST_DELTA_BITS) as i64,
                _ => delta += time_change(&mut bits),
            }
            time += delta;
            if row == 0 {
                value = bits.take(64);
            } else if bits.take(1) == 1 {
                if bits.take(1) == 1 {
                    window.leading = bits.take(5) as u32;
                    window.bits = match bits.take(6) as u32 {
                        0 => 64,
                        some => some,
                    };
                }
                value ^= bits.take(window.bits) << (64 - window.leading - window.bits);
            }
            times.push(time);
            values.push(f64::from_bits(value));
        }
    }
}

fn time_change(bits: &mut BitReader<'_>) -> i64 {
    let width = TIME_BITS.get(bits.ones(4) as usize).copied().unwrap_or(0);
    if width == 0 {
        return 0;
    }
    let value = bits.take(width) as i64;
    // Ranges reach from -(2^(n-1) - 1) to 2^(n-1), the last is two's complement.
    let high = 1i64 << (width - 1);
    if value > high || (width == 32 && value == high) {
        value - (1 << width)
    } else {
        value
    }
}
