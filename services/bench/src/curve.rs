//! A figure over its sizes, drawn: SVG that is read in light and in dark, with axes, units, and what is to be reached
//! as a dashed line.

use crate::{
    figure::Figure,
    number::number,
    target::{Of, Target},
};
use std::{collections::BTreeMap, fmt::Write as _};

/// Of the picture, and of what is drawn in it (pixels).
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 600.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 256.0;
/// The first and the last size stand so far inside.
const INSET: f64 = 24.0;
/// The axis has about so many lines.
const LINES: f64 = 5.0;
/// Sizes so many times apart are drawn by their logarithms.
const DECADE: f64 = 10.0;

const STYLE: &str = "text{font:13px sans-serif;fill:#24292f}.back{fill:#fff}.axis{stroke:#d0d7de}\
    .line{fill:none;stroke:#0969da;stroke-width:2}.dot{fill:#0969da}\
    .target{fill:none;stroke:#bc4c00;stroke-width:2;stroke-dasharray:6 4}.reach{fill:#bc4c00}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}.axis{stroke:#30363d}\
    .line{stroke:#58a6ff}.dot{fill:#58a6ff}.target{stroke:#f0883e}.reach{fill:#f0883e}}";

/// One figure at several sizes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// What its values are.
    unit: String,
    /// Sizes and values, the least size first.
    points: Vec<(f64, f64)>,
    /// What is to be reached, where there is a target; and in words, at the largest size.
    targets: Vec<(f64, f64)>,
    words: String,
}

/// Those that these figures make: one of each name that has several sizes. What is compared with what was measured
/// beside it is drawn so.
pub(crate) fn curves(figures: &[Figure]) -> Vec<Curve> {
    let mut named: BTreeMap<&str, BTreeMap<u64, &Figure>> = BTreeMap::new();
    for figure in figures {
        named.entry(&figure.name).or_default().insert(figure.size, figure);
    }
    let several = named.values().filter(|sizes| sizes.len() > 1);
    several.map(|sizes| Curve::of(&sizes.values().copied().collect::<Vec<_>>())).collect()
}

impl Curve {
    fn of(figures: &[&Figure]) -> Self {
        let of = if figures.iter().all(|figure| figure.ratio.is_some()) { Of::Ratio } else { Of::Value };
        let target = |figure: &Figure| figure.targets().find(|target| target.of == of);
        let at = |figure: &Figure, value| (figure.size as f64, value);
        let last = figures.last().and_then(|figure| target(figure));
        let (name, unit) =
            figures.first().map_or(Default::default(), |figure| (figure.name.clone(), figure.unit.clone()));
        Self {
            name,
            unit: if of == Of::Ratio { format!("{unit}, of the limit") } else { unit },
            points: figures.iter().filter_map(|figure| Some(at(figure, figure.part(of)?))).collect(),
            targets: figures
                .iter()
                .filter_map(|figure| Some(at(figure, target(figure)?.bound.value())))
                .collect(),
            words: last.map_or_else(String::new, |target: Target| format!("to reach: {}", target.bound)),
        }
    }

    /// Its name, as files are called.
    pub(crate) fn file(&self) -> String {
        let letters = self.name.to_lowercase();
        let words: Vec<&str> = letters.split(|letter: char| !letter.is_ascii_alphanumeric()).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        format!("{}.svg", words.join("-"))
    }

    /// The picture.
    pub(crate) fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
             <title>{name}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"back\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
             <text x=\"{LEFT}\" y=\"24\">{name} ({unit})</text>\n",
            name = escaped(&self.name),
            unit = escaped(&self.unit)
        );
        let highest = self.points.iter().chain(&self.targets).map(|(_, value)| *value).fold(0.0, f64::max);
        let step = step(highest);
        let top = (highest / step).ceil().max(1.0) * step;
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * value / top;
        for line in 0..=(top / step).round() as u32 {
            let value = f64::from(line) * step;
            let (y, label) = (y(value), number(value));
            let _ = writeln!(
                svg,
                "<path class=\"axis\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                y + 4.0
            );
        }
        for (size, _) in &self.points {
            let (x, label) = (self.x(*size), short(*size));
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                BOTTOM + 20.0
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            (LEFT + RIGHT) / 2.0,
            BOTTOM + 44.0,
            of_what(&self.name)
        );
        let path = |points: &[(f64, f64)]| {
            let points: Vec<String> =
                points.iter().map(|(size, value)| format!("{:.1},{:.1}", self.x(*size), y(*value))).collect();
            points.join(" ")
        };
        if let (Some((_, first)), Some((_, last))) = (self.targets.first(), self.targets.last()) {
            let (first, last) = (y(*first), y(*last));
            let _ = writeln!(
                svg,
                "<polyline class=\"target\" points=\"{LEFT},{first:.1} {} {RIGHT},{last:.1}\"/>\
                 <text class=\"reach\" x=\"{RIGHT}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                path(&self.targets),
                last - 6.0,
                escaped(&self.words)
            );
        }
        let _ = writeln!(svg, "<polyline class=\"line\" points=\"{}\"/>", path(&self.points));
        for (size, value) in &self.points {
            let _ = writeln!(
                svg,
                "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"/>",
                self.x(*size),
                y(*value)
            );
        }
        svg + "</svg>\n"
    }

    /// Where a size stands.
    fn x(&self, size: f64) -> f64 {
        let ends = self.points.first().zip(self.points.last());
        let (least, most) =
            ends.map_or((1.0, 1.0), |((least, _), (most, _))| (least.max(1.0), most.max(1.0)));
        let share = if most / least < DECADE {
            (size - least) / (most - least).max(1.0)
        } else {
            (size.max(1.0) / least).ln() / (most / least).ln()
        };
        LEFT + INSET + (RIGHT - LEFT - 2.0 * INSET) * share
    }
}

/// What the sizes of this figure count.
fn of_what(name: &str) -> &'static str {
    match name {
        "authorize: under way at once" | "authorize: CPU of central a call" => "calls under way at once",
        _ => "charge points",
    }
}

/// From line to line of the axis: 1, 2 or 5 of some power of ten.
fn step(highest: f64) -> f64 {
    let rough = (highest / LINES).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= rough);
    times.unwrap_or(10.0) * power
}

/// A size in few letters.
fn short(size: f64) -> String {
    match size as u64 {
        size if size >= 1_000_000 && size.is_multiple_of(100_000) => format!("{}M", size as f64 / 1e6),
        size if size >= 1_000 && size.is_multiple_of(100) => format!("{}k", size as f64 / 1e3),
        size => size.to_string(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: &str = "intake: CPU of central a reading";

    fn cpu(size: u64, value: f64) -> Figure {
        Figure::new(CPU, size, value, "µs")
    }

    #[test]
    fn a_figure_of_several_sizes_is_a_curve_and_what_stands_beside_another_is_its_share() {
        let read = |size, value| Figure::new("catch-up: messages read", size, value, "1/s").beside(1e6);
        let figures =
            [cpu(50_000, 8.0), cpu(10_000, 9.0), read(1_000, 6e5), read(10_000, 5e5), cpu(10_000, 7.0)];
        let alone = Figure::new("first: memory of 'evmesh up'", 4, 45.0, "MB");
        let curves = curves(&[figures.as_slice(), &[alone]].concat());
        assert_eq!(curves.len(), 2);
        assert_eq!(curves[0].points, [(1_000.0, 0.6), (10_000.0, 0.5)]);
        assert_eq!(
            (curves[0].words.as_str(), curves[0].unit.as_str()),
            ("to reach: ≥ 0.50", "1/s, of the limit")
        );
        assert_eq!(curves[1].points, [(10_000.0, 7.0), (50_000.0, 8.0)], "the last one of a size");
        assert_eq!(curves[1].file(), "intake-cpu-of-central-a-reading.svg");
    }

    #[test]
    fn sizes_decades_apart_stand_as_far_apart_as_their_logarithms() {
        let at = |sizes: [u64; 3]| {
            let curve = &curves(&sizes.map(|size| cpu(size, 1.0)))[0];
            sizes.map(|size| curve.x(size as f64).round())
        };
        assert_eq!(at([1_000, 10_000, 100_000]), [104.0, 340.0, 576.0]);
        assert_eq!(at([1_000, 2_000, 5_000]), [104.0, 222.0, 576.0]);
    }

    #[test]
    fn axes_begin_at_nothing_and_their_lines_are_round() {
        assert_eq!([0.0, 0.7, 9.6, 10.0, 26.0, 480_000.0].map(step)[1..], [0.2, 2.0, 2.0, 10.0, 100_000.0]);
        assert_eq!([64.0, 1_024.0, 70_000.0, 1e6].map(short), ["64", "1024", "70k", "1M"]);
    }

    #[test]
    fn the_picture_has_every_point_its_axes_and_what_is_to_be_reached() {
        let svg = curves(&[cpu(10_000, 6.0), cpu(100_000, 9.0)])[0].svg();
        for part in [
            "<title>intake: CPU of central a reading</title>",
            "intake: CPU of central a reading (µs)</text>",
            "<circle class=\"dot\" cx=\"104.0\" cy=\"131.2\" r=\"4\"/>",
            "<circle class=\"dot\" cx=\"576.0\" cy=\"68.8\" r=\"4\"/>",
            ">10k</text>",
            ">100k</text>",
            ">charge points</text>",
            "<polyline class=\"target\" points=\"80,48.0 104.0,48.0 576.0,89.6 600,89.6\"/>",
            "to reach: ≤ 8</text>",
            "prefers-color-scheme:dark",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!(escaped("a < b & c > d"), "a &lt; b &amp; c &gt; d");
    }
}
