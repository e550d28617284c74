//! Several runs of the same, as one figure.

use crate::figure::{Figure, Load};

/// A run whose bare figure lies below such a share of the best one is void: the machine had other work.
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

/// What is measured against, of several bare figures (more is better): their median; and why the run is void, if it is.
pub(crate) fn bare(figures: &[f64]) -> (f64, Option<String>) {
    let (limit, best) = (quantile(figures, 0.5), quantile(figures, 1.0));
    let void = limit < best * VOID_BELOW;
    let why = || {
        let below = (1.0 - limit / best) * 100.0;
        format!("VOID: the bare figure is {below:.0} % below the best of {}", figures.len())
    };
    (limit, void.then(why))
}

/// The figures of rows that were measured several times, each as often: medians of what was measured and of what stood
/// beside it, with the first one's notes. A figure is void where what stood beside it lies too far apart.
pub(crate) fn merged(rows: &[Vec<Figure>]) -> Vec<Figure> {
    let Some((first, _)) = rows.split_first().filter(|(_, others)| !others.is_empty()) else {
        return rows.concat();
    };
    let merge = |figure: &Figure| {
        let all =
            rows.iter().flatten().filter(|other| other.name == figure.name && other.size == figure.size);
        let all: Vec<&Figure> = all.collect();
        let of_all = runs(&all.iter().map(|figure| figure.value).collect::<Vec<_>>());
        let limits: Vec<f64> = all.iter().filter_map(|figure| figure.limit).collect();
        let load = Load { runs: of_all.count, spread: of_all.spread, ..figure.load.clone() };
        let merged = Figure::new(figure.name.clone(), figure.size, of_all.median, &figure.unit).under(load);
        if limits.is_empty() {
            return merged;
        }
        let (limit, void) = bare(&limits);
        void.into_iter().fold(merged.beside(limit), Figure::noting)
    };
    first.iter().map(merge).collect()
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
        assert_eq!(bare(&[100.0, 80.0, 60.0, 81.0, 79.0]), (80.0, None));
        let (limit, void) = bare(&[100.0, 75.0, 60.0, 81.0, 70.0]);
        assert_eq!(
            (limit, void.as_deref()),
            (75.0, Some("VOID: the bare figure is 25 % below the best of 5"))
        );
    }

    #[test]
    fn rows_that_were_measured_several_times_have_the_medians_of_each_figure() {
        let row = |value, limit| {
            let memory = Figure::new("connected: memory", 200, value, "B").beside(limit).noting("a note");
            vec![memory, Figure::new("connected: time", 200, value * 2.0, "s")]
        };
        let rows = [row(30.0, 10.0), row(10.0, 9.0), row(20.0, 11.0)];
        let [memory, time] = merged(&rows).try_into().unwrap();
        assert_eq!((memory.value, memory.limit, memory.ratio), (20.0, Some(10.0), Some(2.0)));
        assert_eq!((memory.load.runs, memory.load.spread, memory.load.notes.len()), (3, Some(1.0), 1));
        assert_eq!((time.value, time.limit), (40.0, None));
        let apart = [row(30.0, 10.0), row(10.0, 7.0), row(20.0, 7.5)];
        assert!(merged(&apart)[0].load.notes[1].starts_with("VOID"));
        assert_eq!(merged(&rows[..1]), rows[0]);
    }
}
