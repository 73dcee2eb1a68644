//! The table with the verdicts, and the same as JSON.

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
    ingest::{Ingest, summary::Figures},
    load::{Group, Outcome},
    orders::rush::{CLIENTS, Rush},
    verdict::{Verdict, judge, kept},
};

/// What the demo showed.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How the database was filled.
    pub ingest: Figures,
    /// Broad searches per second that the bare service answered before the load.
    pub capacity_per_second: f64,
    /// Requests per second that each client may make behind Plimsoll.
    pub rate_per_second: u32,
    /// Requests that each client may make at once after a rest.
    pub burst: u32,
    /// How long arrivals went on, in each run.
    pub seconds: f64,
    /// The load on the bare service, then the same behind Plimsoll.
    pub runs: [Run; 2],
    /// Orders, each in a transaction of its own, then together behind Plimsoll.
    pub orders: [Ordered; 2],
    /// What was expected of the run behind Plimsoll and whether it came.
    pub verdicts: Vec<Verdict>,
}

/// One run of the load.
#[derive(Debug, Serialize)]
pub struct Run {
    /// `bare` or `plimsoll`.
    pub run: &'static str,
    /// The greedy client, then the polite ones.
    pub groups: [Row; 2],
    /// How much later than intended requests left.
    pub generator_late: Percentiles,
    /// The first few failures, in words.
    pub failures: Vec<String>,
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
    pub failed: u64,
    /// Sent per second by each client.
    pub offered_per_second: f64,
    /// Admitted per second of each client; behind Plimsoll the burst is in it.
    pub admitted_per_second: f64,
    /// Latency of what was admitted, from the intended start.
    pub admitted_latency: Percentiles,
    /// Latency of what was refused, from the intended start.
    pub refused_latency: Percentiles,
}

/// What became of the orders of one run.
#[derive(Debug, Serialize)]
pub struct Ordered {
    /// `bare` or `plimsoll`.
    pub run: &'static str,
    /// How many clients ordered, one order at a time each.
    pub clients: u16,
    /// Until the last answer.
    pub seconds: f64,
    /// Answered with a number.
    pub answered: u64,
    /// Told to come back later.
    pub refused: u64,
    /// Anything else.
    pub failed: u64,
    /// Answered with a number, by all clients.
    pub answered_per_second: f64,
    /// From the request to the number.
    pub latency: Percentiles,
    /// Of those that were answered, how many were in the database afterwards.
    pub found: u64,
    /// The first few failures, in words.
    pub failures: Vec<String>,
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

impl Report {
    /// Judges what came out of the same load, for `duration` each, on the bare service and on the
    /// one that holds every client to `limits`.
    #[must_use]
    pub fn new(
        ingest: &Ingest,
        capacity: f64,
        limits: Limits,
        duration: Duration,
        bare: &Outcome,
        gated: &Outcome,
        orders: [Ordered; 2],
    ) -> Self {
        let mut verdicts = vec![ingest.verdict()];
        verdicts.extend(judge(limits, duration, bare, gated));
        verdicts.push(kept(&orders));
        Self {
            ingest: ingest.figures(),
            capacity_per_second: capacity,
            rate_per_second: limits.rate,
            burst: limits.burst,
            seconds: duration.as_secs_f64(),
            runs: [Run::new("bare", bare, duration), Run::new("plimsoll", gated, duration)],
            orders,
            verdicts,
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

impl Run {
    fn new(run: &'static str, outcome: &Outcome, duration: Duration) -> Self {
        let Outcome { greedy, polite, late_us, errors } = outcome;
        Self {
            run,
            groups: [row("greedy", greedy, duration), row("polite", polite, duration)],
            generator_late: Percentiles::of(late_us),
            failures: errors.clone(),
        }
    }
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
        failed: group.failed,
        offered_per_second: per_second(group.sent),
        admitted_per_second: per_second(group.admitted),
        admitted_latency: Percentiles::of(&group.admitted_us),
        refused_latency: Percentiles::of(&group.refused_us),
    }
}

/// Counts here are far below 2^53, where an `f64` stops holding every whole number.
#[expect(clippy::cast_precision_loss, reason = "a run has at most 200,000 requests")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}

impl Ordered {
    /// What a rush came to, and how many of its orders the database has.
    #[must_use]
    pub fn new(run: &'static str, rush: &Rush, found: u64) -> Self {
        let (answered, seconds) = (rush.ids.len() as u64, rush.took.as_secs_f64());
        let per_second = if seconds > 0.0 { count(answered) / seconds } else { 0.0 };
        Self {
            run,
            clients: CLIENTS,
            seconds,
            answered,
            refused: rush.refused,
            failed: rush.failed,
            answered_per_second: per_second,
            latency: Percentiles::of(&rush.written_us),
            found,
            failures: rush.errors.clone(),
        }
    }
}

impl Percentiles {
    pub(crate) fn of(micros: &Histogram<u64>) -> Self {
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
        write!(f, "{} / {}", cell(self.p50_ms), cell(self.p99_ms))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "run",
            "group",
            "clients",
            "sent",
            "admitted",
            "refused",
            "failed",
            "sent/s",
            "admitted/s",
            "limit/s",
            "admitted ms",
            "refused ms",
        ];
        let mut lines = vec![head.map(str::to_owned)];
        let limits = ["-".to_owned(), self.rate_per_second.to_string()];
        for (run, limit) in self.runs.iter().zip(limits) {
            lines.extend(run.groups.iter().map(|row| {
                [
                    run.run.to_owned(),
                    row.group.to_owned(),
                    row.clients.to_string(),
                    row.sent.to_string(),
                    row.admitted.to_string(),
                    row.refused.to_string(),
                    row.failed.to_string(),
                    format!("{:.1}", row.offered_per_second),
                    format!("{:.1}", row.admitted_per_second),
                    limit.clone(),
                    row.admitted_latency.to_string(),
                    row.refused_latency.to_string(),
                ]
            }));
        }
        f.write_str(&aligned(&lines))?;
        let [bare, gated] = &self.runs;
        writeln!(
            f,
            "per-second figures are per client; ms are p50 / p99 from the intended start, and in \
             them is how\nlate requests left: {} ms bare, {} ms behind Plimsoll\n",
            bare.generator_late, gated.generator_late
        )?;
        f.write_str(&ordered(&self.orders))?;
        let [_, polite] = &bare.groups;
        let (got, sent) = (polite.admitted, polite.sent);
        writeln!(f, "bare, the polite clients got {got} of {sent} answers; behind Plimsoll:")?;
        for verdict in &self.verdicts {
            writeln!(f, "{} {}", if verdict.holds { "ok  " } else { "FAIL" }, verdict.says)?;
        }
        let failures = self.orders.iter().flat_map(|run| &run.failures);
        for failure in gated.failures.iter().chain(failures) {
            writeln!(f, "     {failure}")?;
        }
        Ok(())
    }
}

/// The table of orders.
fn ordered(runs: &[Ordered; 2]) -> String {
    let head = ["run", "commit", "clients", "answered", "refused", "failed", "orders/s", "ms"];
    let mut lines = vec![head.map(str::to_owned)];
    for (run, commit) in runs.iter().zip(["one by one", "together"]) {
        lines.push([
            run.run.to_owned(),
            commit.to_owned(),
            run.clients.to_string(),
            run.answered.to_string(),
            run.refused.to_string(),
            run.failed.to_string(),
            format!("{:.0}", run.answered_per_second),
            run.latency.to_string(),
        ]);
    }
    let note = "orders: each client sends its next when the last is answered, and that is when it is on \
                the disk\n\n";
    aligned(&lines) + note
}

/// Columns as wide as their widest cell: two names to the left, numbers to the right, and a rule
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
                1 => write!(text, "  {cell:<width$}"),
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

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        let lines = [["a", "b", "cc"], ["ddd", "ee", "f"]].map(|line| line.map(str::to_owned));
        assert_eq!(aligned(&lines), "a    b   cc\n-----------\nddd  ee   f\n");
    }
}
