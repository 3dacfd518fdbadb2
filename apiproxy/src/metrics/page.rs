//! Prometheus' text format: families with a help and a type, samples with labels.

use std::fmt::{Display, Write};

use swarmrs_types::measure::Histogram;

/// What a family's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

type Labels<'a> = [(&'a str, &'a str)];

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Opens a family; its samples follow, and no other family's between them.
    pub fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { page: self, name }
    }

    pub fn finish(self) -> String {
        self.0
    }

    /// Writing to memory does not fail.
    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(text);
    }
}

/// An open family.
pub(super) struct Family<'a> {
    page: &'a mut Page,
    name: &'a str,
}

impl Family<'_> {
    /// One number.
    pub fn sample(&mut self, labels: &Labels<'_>, value: impl Display) {
        let labels = shown(labels);
        self.page
            .write(format_args!("{}{labels} {value}\n", self.name));
    }

    /// A number for each of several values of one label.
    pub fn each<V: Display>(
        &mut self,
        label: &str,
        values: impl Iterator<Item = (impl AsRef<str>, V)>,
    ) {
        for (of, value) in values {
            self.sample(&[(label, of.as_ref())], value);
        }
    }

    /// A whole histogram, of type histogram.
    pub fn histogram(&mut self, labels: &Labels<'_>, histogram: &Histogram) {
        let (name, read) = (self.name, histogram.read());
        let count = read.count;
        let ends = read
            .buckets
            .iter()
            .map(|(end, count)| (end.to_string(), *count));
        for (end, count) in ends.chain([("+Inf".to_owned(), count)]) {
            let labels = shown(&[labels, &[("le", &end)]].concat());
            self.page
                .write(format_args!("{name}_bucket{labels} {count}\n"));
        }
        let (labels, sum) = (shown(labels), read.sum);
        self.page.write(format_args!(
            "{name}_sum{labels} {sum}\n{name}_count{labels} {count}\n"
        ));
    }
}

fn shown(labels: &Labels<'_>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs = labels.iter().map(|(name, value)| {
        let value = value
            .replace('\\', r"\\")
            .replace('"', "\\\"")
            .replace('\n', r"\n");
        format!("{name}=\"{value}\"")
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_family_is_a_help_a_type_and_its_samples() {
        let mut page = Page::default();
        let mut family = page.family("tasks", Kind::Gauge, "How many.");
        family.sample(&[], 3);
        family.each("state", [("new", 1), ("say \"x\\\"\n", 2)].into_iter());
        let expected = "# HELP tasks How many.\n# TYPE tasks gauge\ntasks 3\ntasks{state=\"new\"} 1\n\
                        tasks{state=\"say \\\"x\\\\\\\"\\n\"} 2\n";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn a_histogram_ends_with_all_of_it() {
        let histogram = Histogram::default();
        histogram.note(Duration::from_millis(2));
        histogram.note(Duration::from_secs(3_600));
        let mut page = Page::default();
        let mut family = page.family("took", Kind::Histogram, "How long.");
        family.histogram(&[("call", "x")], &histogram);
        let text = page.finish();
        for line in [
            "took_bucket{call=\"x\",le=\"0.001\"} 0",
            "took_bucket{call=\"x\",le=\"0.0025\"} 1",
            "took_bucket{call=\"x\",le=\"120\"} 1",
            "took_bucket{call=\"x\",le=\"+Inf\"} 2",
            "took_sum{call=\"x\"} 3600.002",
            "took_count{call=\"x\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
