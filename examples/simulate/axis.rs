//! A logarithmic axis.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// From its least to its most, both above 0 and not the same.
pub(crate) struct Logarithmic(Range<f64>);

impl Logarithmic {
    /// With all of these on it, and so much more at either end, as a factor.
    pub(crate) fn around(numbers: impl Iterator<Item = f64> + Clone, more: f64) -> Self {
        let least = numbers.clone().fold(f64::INFINITY, f64::min);
        let most = numbers.fold(0.0, f64::max);
        match least <= most && least > 0.0 {
            true => Self(least / more..most * more),
            // There are none.
            false => Self(1.0..10.0),
        }
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.start
    }
}

impl Ranged for Logarithmic {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let part = (value / self.0.start).ln() / (self.0.end / self.0.start).ln();
        first + (f64::from(last - first) * part).round() as i32
    }

    /// Where there are labels: powers of ten and, on a short axis, some between.
    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let [first, last] = [self.0.start, self.0.end].map(|end| end.log10().floor() as i32);
        let steps: &[f64] = match last - first {
            ..=1 => &[1.0, 2.0, 3.0, 5.0, 7.0],
            2 => &[1.0, 2.0, 5.0],
            3 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let points = (first..=last).flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
        points.filter(|point| self.0.contains(point)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.0.clone()
    }
}
