//! Numbers of other people's metrics as integers with a decimal scale. Pure.

/// Millionths: most values fit exactly, and those up to nine million million.
const USUAL: i8 = -6;

/// Scales change in steps of a thousand.
const STEP: i8 = 3;

/// The scales that a metric can have.
const SCALES: std::ops::RangeInclusive<i8> = -120..=120;

/// The smallest integer with three significant digits.
const DIGITS: f64 = 100.0;

/// Room for growth of a metric before its scale becomes finer.
const GROWTH: f64 = 1000.0;

/// A value as it was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Integer(i64),
    /// Any other; NaN stands for no value.
    Float(f64),
}

impl Number {
    /// The nearest float.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }
}

impl From<f64> for Number {
    fn from(float: f64) -> Self {
        // Below this every whole float is an integer of 64 bits.
        let is_integer = float.fract() == 0.0 && float.abs() < i64::MAX as f64;
        match is_integer {
            true => Self::Integer(float as i64),
            false => Self::Float(float),
        }
    }
}

/// What a metric's values were so far.
#[derive(Clone, Copy, Debug)]
pub struct ScaleRange {
    max: f64,
    /// The smallest that is not 0.
    min: f64,
    whole: bool,
    scale: i8,
}

impl ScaleRange {
    /// Of a metric without values yet; `is_whole` if they are known to be whole numbers.
    pub fn new(is_whole: bool) -> Self {
        Self {
            max: 0.0,
            min: f64::INFINITY,
            whole: true,
            scale: if is_whole { 0 } else { USUAL },
        }
    }

    /// Adds a value.
    pub fn extend(&mut self, value: Number) {
        let size = value.as_f64().abs();
        self.max = self.max.max(size);
        if size > 0.0 {
            self.min = self.min.min(size);
        }
        self.whole &= matches!(value, Number::Integer(_));
    }

    /// The decimal exponent of the integers.
    pub fn scale(&self) -> i8 {
        self.scale
    }

    /// The smallest value other than 0, and the largest.
    pub fn extremes(&self) -> (f64, f64) {
        (self.min, self.max)
    }

    /// Whether less than three digits of a value are kept.
    pub fn loses(&self, value: Number) -> bool {
        let is_exact = matches!(value, Number::Integer(_)) && self.scale <= 0;
        let stored = self.store(value);
        value.as_f64() != 0.0
            && !is_exact
            && stored.is_some_and(|v| (v.unsigned_abs() as f64) < DIGITS)
    }

    fn fits(&self, scale: i8, growth: f64) -> bool {
        self.max * growth / power(scale) < i64::MAX as f64
    }

    fn is_precise(&self) -> bool {
        (self.whole && self.scale <= 0) || (self.min / power(self.scale)).round() >= DIGITS
    }

    /// Chooses the scale for the values so far. Changes it only if the present one cannot hold the values, because a series belongs to one scale.
    pub fn settle(&mut self) {
        if !self.whole && self.scale == 0 && self.fits(USUAL, 1.0) {
            self.scale = USUAL;
        }
        while !self.fits(self.scale, 1.0) && SCALES.contains(&(self.scale + STEP)) {
            self.scale += STEP;
        }
        while !self.is_precise()
            && SCALES.contains(&(self.scale - STEP))
            && self.fits(self.scale - STEP, GROWTH)
        {
            self.scale -= STEP;
        }
    }

    /// The integer that stands for a value at the present scale; none if it is too large.
    pub fn store(&self, value: Number) -> Option<i64> {
        let scaled = match value {
            Number::Integer(integer) if self.scale <= 0 => {
                let factor = 10i128.checked_pow(u32::from(self.scale.unsigned_abs()))?;
                return i64::try_from(i128::from(integer).checked_mul(factor)?).ok();
            }
            _ => (value.as_f64() / power(self.scale)).round(),
        };
        (scaled.abs() < i64::MAX as f64).then_some(scaled as i64)
    }
}

fn power(scale: i8) -> f64 {
    10f64.powi(i32::from(scale))
}
