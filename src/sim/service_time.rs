//! How long requests take to serve.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Exp1, Normal, Pareto};

/// How long a request takes at a server of full speed, as a distribution whose mean is 1: the unit of time of a
/// [`Scenario`](super::Scenario).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServiceTime {
    /// All requests alike.
    Constant,
    /// Exponential: most are short, the standard deviation is the mean.
    Exponential,
    /// Normal with a standard deviation as large as the mean, what is below 0 drawn again; divided by what that makes
    /// the mean, 1.2876.
    Normal,
    /// One request in a hundred takes 30 times as long as the others.
    Bimodal,
    /// Pareto with a shape of 2.1: the variance is finite, and barely.
    HeavyTailed,
}

/// The mean of what is left above 0 of a normal distribution whose mean and standard deviation are 1: 1 + φ(1) ∕ Φ(1).
const NORMAL_MEAN: f64 = 1.287_599_970_939_178_3;
const LONG: f64 = 30.0;
const SHARE: f64 = 0.01;
const SHAPE: f64 = 2.1;

impl ServiceTime {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Constant,
        Self::Exponential,
        Self::Normal,
        Self::Bimodal,
        Self::HeavyTailed,
    ];

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Exponential => "exponential",
            Self::Normal => "normal",
            Self::Bimodal => "bimodal",
            Self::HeavyTailed => "heavy_tailed",
        }
    }

    pub(super) fn sample(self, random: &mut impl Rng) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Exponential => Exp1.sample(random),
            Self::Normal => {
                let normal = Normal::new(1.0, 1.0).expect("both are finite");
                loop {
                    let drawn: f64 = normal.sample(random);
                    if drawn > 0.0 {
                        return drawn / NORMAL_MEAN;
                    }
                }
            }
            Self::Bimodal => {
                let short = 1.0 / (1.0 - SHARE + SHARE * LONG);
                if random.random_bool(SHARE) { short * LONG } else { short }
            }
            Self::HeavyTailed => {
                let scale = (SHAPE - 1.0) / SHAPE;
                Pareto::new(scale, SHAPE).expect("both are above 0").sample(random)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};

    use super::*;

    #[test]
    fn every_mean_is_one_and_deviations_are_as_said() {
        let deviations = [0.0, 1.0, 0.616, 2.239, f64::NAN];
        for (service, deviation) in ServiceTime::ALL.into_iter().zip(deviations) {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
            let count = 1_000_000;
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..count {
                let time = service.sample(&mut random);
                assert!(time > 0.0 || service == ServiceTime::Exponential && time == 0.0);
                sum += time;
                squares += time * time;
            }
            let mean = sum / f64::from(count);
            assert!((mean - 1.0).abs() < 0.01, "{service:?}: {mean}");
            let measured = (squares / f64::from(count) - mean * mean).max(0.0).sqrt();
            assert!(
                deviation.is_nan() || (measured - deviation).abs() < 0.02,
                "{service:?}: {measured}"
            );
        }
    }
}
