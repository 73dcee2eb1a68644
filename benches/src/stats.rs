//! Median and quartiles.

/// Where the middle half of the samples lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) q1: f64,
    pub(crate) median: f64,
    pub(crate) q3: f64,
}

impl Summary {
    /// Sorts the samples. None of none.
    pub(crate) fn of(samples: &mut [f64]) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let at = |quarter: usize| {
            // The two samples beside the wanted place, weighted by nearness.
            let place = (samples.len() - 1) * quarter;
            let (low, part) = (place / 4, place % 4);
            let high = (low + 1).min(samples.len() - 1);
            samples[low] + (samples[high] - samples[low]) * part as f64 / 4.0
        };
        (!samples.is_empty()).then(|| Self { q1: at(1), median: at(2), q3: at(3) })
    }

    /// A single figure, without spread.
    #[cfg(test)]
    pub(crate) fn exactly(value: f64) -> Self {
        Self { q1: value, median: value, q3: value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_samples_they_fall_between() {
        let summary = Summary::of(&mut [4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(summary, Summary { q1: 1.75, median: 2.5, q3: 3.25 });
    }

    #[test]
    fn one_sample_is_its_own_median_and_none_has_none() {
        assert_eq!(Summary::of(&mut [7.0]), Some(Summary::exactly(7.0)));
        assert_eq!(Summary::of(&mut []), None);
    }
}
