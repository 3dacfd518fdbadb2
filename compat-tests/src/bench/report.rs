//! From samples to the printed line.

use std::fmt;

use serde::Serialize;

use super::Row;

/// What one run gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub ours: f64,
    pub stock: Option<f64>,
    pub floor: Option<f64>,
}

/// All runs of a row, and lines that say more than medians do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Taken {
    pub samples: Vec<Sample>,
    pub detail: Vec<String>,
}

impl From<Vec<Sample>> for Taken {
    fn from(samples: Vec<Sample>) -> Self {
        Self {
            samples,
            detail: Vec::new(),
        }
    }
}

/// One row of the table: medians over all runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub row: &'static str,
    pub unit: &'static str,
    pub ours: f64,
    pub stock: Option<f64>,
    pub floor: Option<f64>,
    /// ours/stock, or ours/floor where there is no stock.
    pub ratio: Option<f64>,
    /// (ours − floor)/(stock − floor): our part of what a swarm costs on top of the engine.
    pub over: Option<f64>,
    pub runs: usize,
    /// The middle half of our samples, as a part of their median.
    pub spread: f64,
    /// What the figures ought to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
}

impl Report {
    /// Sums up the samples of `row`, of which there is at least one.
    pub(super) fn of(row: Row, taken: Taken) -> Self {
        let samples = taken.samples;
        let ours = sorted(samples.iter().map(|sample| sample.ours).collect());
        let each = |pick: fn(&Sample) -> Option<f64>| {
            let values = sorted(samples.iter().filter_map(pick).collect());
            (!values.is_empty()).then(|| quantile(&values, 0.5))
        };
        let (stock, floor, median) = (each(|s| s.stock), each(|s| s.floor), quantile(&ours, 0.5));
        let over = stock
            .zip(floor)
            .map(|(stock, floor)| (median - floor) / (stock - floor));
        Self {
            row: row.name(),
            unit: row.unit(),
            ours: round(median),
            stock: stock.map(round),
            floor: floor.map(round),
            ratio: part(stock.or(floor).map(|base| median / base)),
            over: part(over),
            runs: samples.len(),
            spread: part(Some(
                (quantile(&ours, 0.75) - quantile(&ours, 0.25)) / median,
            ))
            .unwrap_or_default(),
            wanted: row.wanted(),
            detail: taken.detail,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show =
            |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        write!(
            f,
            "{:<15} ours {} {unit}, stock {}, floor {}, ratio {}, over {}, {} runs, spread {:.0} %",
            self.row,
            self.ours,
            show(self.stock),
            show(self.floor),
            show(self.ratio),
            show(self.over),
            self.runs,
            self.spread * 100.0,
            unit = self.unit,
        )?;
        if let Some(wanted) = self.wanted {
            write!(f, ", wanted: {wanted}")?;
        }
        self.detail
            .iter()
            .try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// A part of something; there is none of nothing.
fn part(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite()).map(round)
}

/// The middle of unordered values; 0 of none.
pub fn median(values: Vec<f64>) -> f64 {
    quantile_of(values, 0.5)
}

/// The value below which that part of unordered values lies; 0 of none.
pub fn quantile_of(values: Vec<f64>, part: f64) -> f64 {
    quantile(&sorted(values), part)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The value below which that part of the sorted values lies, between neighbours if need be.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = part * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_holds_medians_and_our_part_of_the_cost() {
        let sample = |ours, stock, floor| Sample {
            ours,
            stock: Some(stock),
            floor: Some(floor),
        };
        let samples = [
            sample(0.3, 0.5, 0.2),
            sample(9.0, 0.4, 0.1),
            sample(0.2, 9.0, 0.3),
        ];
        let report = Report::of(Row::Create1, samples.to_vec().into());
        assert_eq!(
            (report.ours, report.stock, report.floor),
            (0.3, Some(0.5), Some(0.2))
        );
        assert_eq!(
            (report.ratio, report.over, report.runs),
            (Some(0.6), Some(0.3333), 3)
        );
    }

    #[test]
    fn without_stock_the_ratio_is_to_the_floor() {
        let report = Report::of(
            Row::ProxyBulk,
            vec![Sample {
                ours: 97.0,
                stock: None,
                floor: Some(100.0),
            }]
            .into(),
        );
        assert_eq!(
            (report.ratio, report.over, report.spread),
            (Some(0.97), None, 0.0)
        );
        let line = serde_json::to_string(&report).unwrap();
        assert!(line.starts_with(r#"{"row":"proxy-bulk","unit":"MiB/s","ours":97.0,"stock":null,"floor":100.0,"ratio":0.97"#));
    }
}
