//! Several runs of the same, as one figure.

/// A run whose bare figure lies so far below the best is void: the machine had other work.
const VOID_BELOW: f64 = 0.8;

/// What several runs gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Runs {
    pub(crate) median: f64,
    pub(crate) count: usize,
    /// The largest less the least, as a share of the median; `None`: there was one.
    pub(crate) spread: Option<f64>,
}

/// The figure of several runs. Without any it is 0.
pub(crate) fn runs(values: &[f64]) -> Runs {
    let (median, count) = (quantile(values, 0.5), values.len());
    let spread = (count > 1).then(|| (quantile(values, 1.0) - quantile(values, 0.0)) / median);
    Runs { median, count, spread }
}

/// The value that this share of all is not above; nothing measured is 0.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(at).copied().unwrap_or_default()
}

/// Is each of these bare figures (more is better) good enough to be measured against?
pub(crate) fn valid(bare: &[f64]) -> Vec<bool> {
    let best = quantile(bare, 1.0);
    bare.iter().map(|figure| *figure >= best * VOID_BELOW).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_and_says_how_far_its_runs_lie_apart() {
        assert_eq!(runs(&[30.0, 10.0, 20.0]), Runs { median: 20.0, count: 3, spread: Some(1.0) });
        assert_eq!(runs(&[7.0]), Runs { median: 7.0, count: 1, spread: None });
        assert_eq!(runs(&[]).median, 0.0);
        let all: Vec<f64> = (1..=101).rev().map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| quantile(&all, share)), [1.0, 51.0, 100.0, 101.0]);
    }

    #[test]
    fn a_run_whose_bare_figure_is_a_fifth_below_the_best_is_void() {
        assert_eq!(valid(&[100.0, 79.9, 80.0, 90.0, 60.0]), [true, false, true, true, false]);
    }
}
