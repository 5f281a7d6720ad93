//! The figures, each a median, side by side.

/// One thing measured on both paths.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) limit: f64,
    pub(crate) forward: f64,
}

/// The medians of rounds that measured the same figures in the same order, as text.
pub(crate) fn render(rounds: &[Vec<Figure>]) -> String {
    let mut text = format!(
        "{:<48}{:<6}{:>9}{:>9}{:>17}\n",
        "", "", "limit", "forward", "forward / limit"
    );
    for (at, figure) in rounds.first().into_iter().flatten().enumerate() {
        let median_of = |sample: fn(&Figure) -> f64| {
            median(rounds.iter().map(|round| sample(&round[at])).collect())
        };
        let limit = median_of(|figure| figure.limit);
        let forward = median_of(|figure| figure.forward);
        text += &format!(
            "{:<48}{:<6}{:>9}{:>9}{:>17.2}\n",
            figure.name,
            figure.unit,
            shown(limit),
            shown(forward),
            forward / limit
        );
    }
    text
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Three digits, or all before the point.
fn shown(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
