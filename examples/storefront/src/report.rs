//! The table, the verdict, and the same as JSON.

use std::{
    fmt::{self, Write},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    gates::Limits,
    load::{Group, Outcome},
};

/// What a run of the demo showed.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Products in the database.
    pub products: u64,
    /// Requests per second that each client may make.
    pub rate_per_second: u32,
    /// Requests that each client may make at once after a rest.
    pub burst: u32,
    /// How long arrivals went on.
    pub seconds: f64,
    /// The greedy client, then the polite ones.
    pub groups: [Row; 2],
    /// How much later than intended requests left.
    pub generator_late: Percentiles,
    /// The first few errors, in words.
    pub errors: Vec<String>,
    /// What was expected and whether it came.
    pub verdicts: [Verdict; 3],
}

/// One line of the table.
#[derive(Debug, Serialize)]
pub struct Row {
    /// `greedy` or `polite`.
    pub group: &'static str,
    /// How many clients it has.
    pub clients: u16,
    /// Requests whose time came.
    pub sent: u64,
    /// Answered with what was asked for.
    pub admitted: u64,
    /// Answered with 429.
    pub refused: u64,
    /// Anything else.
    pub errors: u64,
    /// Sent per second by each client.
    pub offered_per_second: f64,
    /// Admitted per second of each client; the burst is in it.
    pub admitted_per_second: f64,
    /// Latency of what was admitted, from the intended start.
    pub admitted_latency: Percentiles,
    /// Latency of what was refused, from the intended start.
    pub refused_latency: Percentiles,
}

/// Three points of a distribution, in milliseconds; none where nothing was counted.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    /// Half were at most this.
    pub p50_ms: Option<f64>,
    /// All but one in a hundred were at most this.
    pub p99_ms: Option<f64>,
    /// None was more.
    pub max_ms: Option<f64>,
}

/// One expectation.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Whether it came true.
    pub holds: bool,
    /// The expectation with its figures.
    pub says: String,
}

impl Report {
    /// Judges what came out of a run under `limits` that went on for `duration`.
    #[must_use]
    pub fn new(products: u64, limits: Limits, duration: Duration, outcome: &Outcome) -> Self {
        let Outcome { greedy, polite, late_us, errors } = outcome;
        Self {
            products,
            rate_per_second: limits.rate,
            burst: limits.burst,
            seconds: duration.as_secs_f64(),
            groups: [row("greedy", greedy, duration), row("polite", polite, duration)],
            generator_late: Percentiles::of(late_us),
            errors: errors.clone(),
            verdicts: [
                held_to_its_rate(limits, duration, greedy),
                untouched(polite),
                without_errors(greedy, polite),
            ],
        }
    }

    /// Whether every expectation came true.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.holds)
    }

    /// Writes `report.json` into `folder` and returns its path.
    ///
    /// # Errors
    ///
    /// When the file can't be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join("report.json");
        let could_not = || format!("could not write the report {}", path.display());
        let json = serde_json::to_vec_pretty(self).with_context(could_not)?;
        fs::write(&path, json).with_context(could_not)?;
        Ok(path)
    }
}

/// At most what the bucket can have held: the burst, and what flowed in until the last answer;
/// one more for the request that the last drop let through. At least 95 % of the burst and what
/// flowed in while requests arrived, or of all that was sent if that is less.
fn held_to_its_rate(limits: Limits, duration: Duration, greedy: &Group) -> Verdict {
    let (rate, burst) = (f64::from(limits.rate), f64::from(limits.burst));
    let (sent, admitted) = (count(greedy.sent), count(greedy.admitted));
    let window = greedy.window.as_secs_f64();
    let most = (burst + rate * window).floor() + 1.0;
    let least = (0.95 * sent.min(burst + rate * duration.as_secs_f64())).floor();
    Verdict {
        holds: (least..=most).contains(&admitted),
        says: format!(
            "the greedy client is held to its rate: {admitted} of {sent} admitted, \
             {least} to {most} expected (burst {burst} + {rate}/s x {window:.2} s; 5 % under, 1 over)"
        ),
    }
}

fn untouched(polite: &Group) -> Verdict {
    Verdict {
        holds: polite.refused == 0 && polite.admitted > 0,
        says: format!(
            "the polite clients are untouched: {} of {} admitted, {} refused",
            polite.admitted, polite.sent, polite.refused
        ),
    }
}

fn without_errors(greedy: &Group, polite: &Group) -> Verdict {
    let errors = greedy.errors + polite.errors;
    let says = format!("every request got a right answer: {errors} errors");
    Verdict { holds: errors == 0, says }
}

fn row(name: &'static str, group: &Group, duration: Duration) -> Row {
    let client_seconds = f64::from(group.clients) * duration.as_secs_f64();
    let per_second =
        |number| if client_seconds > 0.0 { count(number) / client_seconds } else { 0.0 };
    Row {
        group: name,
        clients: group.clients,
        sent: group.sent,
        admitted: group.admitted,
        refused: group.refused,
        errors: group.errors,
        offered_per_second: per_second(group.sent),
        admitted_per_second: per_second(group.admitted),
        admitted_latency: Percentiles::of(&group.admitted_us),
        refused_latency: Percentiles::of(&group.refused_us),
    }
}

/// Counts here are far below 2^53, where an `f64` stops holding every whole number.
#[expect(clippy::cast_precision_loss, reason = "a run has at most 200,000 requests")]
fn count(number: u64) -> f64 {
    number as f64
}

impl Percentiles {
    fn of(micros: &Histogram<u64>) -> Self {
        let ms = |value: u64| (!micros.is_empty()).then(|| count(value) / 1_000.0);
        Self {
            p50_ms: ms(micros.value_at_quantile(0.5)),
            p99_ms: ms(micros.value_at_quantile(0.99)),
            max_ms: ms(micros.max()),
        }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        write!(f, "{} / {} / {}", cell(self.p50_ms), cell(self.p99_ms), cell(self.max_ms))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "group",
            "clients",
            "sent",
            "admitted",
            "refused",
            "errors",
            "sent/s",
            "admitted/s",
            "limit/s",
            "admitted ms",
            "refused ms",
        ];
        let mut lines = vec![head.map(str::to_owned)];
        lines.extend(self.groups.iter().map(|row| {
            [
                row.group.to_owned(),
                row.clients.to_string(),
                row.sent.to_string(),
                row.admitted.to_string(),
                row.refused.to_string(),
                row.errors.to_string(),
                format!("{:.1}", row.offered_per_second),
                format!("{:.1}", row.admitted_per_second),
                self.rate_per_second.to_string(),
                row.admitted_latency.to_string(),
                row.refused_latency.to_string(),
            ]
        }));
        f.write_str(&aligned(&lines))?;
        writeln!(
            f,
            "per-second figures are per client; ms are p50 / p99 / max from the intended start"
        )?;
        writeln!(f, "requests left {} ms late, which is in every latency\n", self.generator_late)?;
        for verdict in &self.verdicts {
            writeln!(f, "{} {}", if verdict.holds { "ok  " } else { "FAIL" }, verdict.says)?;
        }
        for error in &self.errors {
            writeln!(f, "     {error}")?;
        }
        Ok(())
    }
}

/// Columns as wide as their widest cell: the first to the left, numbers to the right, and a rule
/// under the head.
fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Writing to a String does not fail.
            let _ = match column {
                0 => write!(text, "{cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
        if number == 0 {
            text.push_str(&"-".repeat(widths.iter().sum::<usize>() + 2 * (N - 1)));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { rate: 20, burst: 40 };
    const TEN: Duration = Duration::from_secs(10);

    fn group(clients: u16, admitted: u64, refused: u64) -> Group {
        let hist = || Histogram::new(3).unwrap();
        Group {
            clients,
            sent: admitted + refused,
            admitted,
            refused,
            errors: 0,
            admitted_us: hist(),
            refused_us: hist(),
            window: TEN,
        }
    }

    fn report(greedy: Group, polite: Group) -> Report {
        let late_us = Histogram::new(3).unwrap();
        Report::new(50, LIMITS, TEN, &Outcome { greedy, polite, late_us, errors: vec![] })
    }

    #[test]
    fn a_greedy_client_is_held_within_the_stated_tolerance_and_not_beyond() {
        // 40 + 20/s x 10 s = 240.
        for (admitted, holds) in [(227, false), (228, true), (240, true), (241, true), (242, false)]
        {
            let report = report(group(1, admitted, 2_000 - admitted), group(20, 1_000, 0));
            assert_eq!(report.holds(), holds, "{admitted}");
        }
    }

    #[test]
    fn one_refused_polite_request_or_one_error_fails_the_run() {
        assert!(report(group(1, 240, 1_760), group(20, 1_000, 0)).holds());
        assert!(!report(group(1, 240, 1_760), group(20, 1_000, 1)).holds());
        assert!(!report(group(1, 240, 1_760), Group { errors: 1, ..group(20, 1_000, 0) }).holds());
    }

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        let lines = [["a", "bb"], ["ccc", "d"]].map(|line| line.map(str::to_owned));
        assert_eq!(aligned(&lines), "a    bb\n-------\nccc   d\n");
    }
}
