//! The report as people read it.

use super::{Report, StageReport, report::per_second};
use std::fmt;

/// How wide the bar of a stage is.
const BAR: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.account(f)?;
        self.table(f)?;
        let Some(bottleneck) = self.bottleneck() else { return Ok(()) };
        write!(f, "\nbottleneck: {}", bottleneck.stage)?;
        write!(f, ", busy {:.0} % of the time", bottleneck.occupancy * 100.0)?;
        if bottleneck.is_source {
            return f.write_str("; the stages wait for the source");
        }
        write!(f, "; if it can have twice its workers, {:.1} times as fast", bottleneck.doubled)?;
        if bottleneck.then != bottleneck.stage {
            write!(f, ", then {}", bottleneck.then)?;
        }
        Ok(())
    }
}

impl Report {
    /// What was read and what became of it, in a line.
    fn account(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} read: {} written", self.read, self.written)?;
        let parts = [
            (self.filtered, "filtered"),
            (self.skipped, "skipped"),
            (self.dead_lettered, "dead-lettered"),
            (self.failed, "failed"),
            (self.dropped, "dropped"),
            (self.inside(), "inside"),
        ];
        for (items, what) in parts.into_iter().filter(|(items, _)| *items > 0) {
            write!(f, ", {items} {what}")?;
        }
        write!(f, "; {:.2?}", self.elapsed)?;
        write!(f, ", {:.0} items/s", per_second(self.read - self.inside(), self.elapsed))
    }

    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.stages.iter().map(|stage| stage.name.chars().count()).max();
        let width = widest.unwrap_or(0).max("stage".len());
        write!(
            f,
            "\n{:width$}  workers         in        out  filtered  errors  items/s  busy  starved  blocked      queue",
            "stage"
        )?;
        for stage in &self.stages {
            let StageReport { name, workers, taken, given, busy, starved, blocked, .. } = stage;
            let percent = |part| stage.share(part) * 100.0;
            write!(
                f,
                "\n{name:width$}  {workers:>7} {taken:>10} {given:>10} {:>9} {:>7} {:>8.0} {:>4.0}%  {:>6.0}%  {:>6.0}%  ",
                stage.filtered,
                stage.errors(),
                stage.throughput(),
                percent(*busy),
                percent(*starved),
                percent(*blocked),
            )?;
            if stage.capacity > 0 {
                write!(f, "{:>9}", format!("{}/{}", stage.high_water, stage.capacity))?;
            } else {
                write!(f, "{:>9}", "-")?;
            }
            write!(f, "  {}", bar(stage))?;
        }
        Ok(())
    }
}

/// Busy, then blocked, then the rest.
fn bar(stage: &StageReport) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of twenty"
    )]
    let cells = |part| (stage.share(part) * BAR as f64).round() as usize;
    let busy = cells(stage.busy).min(BAR);
    let blocked = cells(stage.blocked).min(BAR - busy);
    let rest = BAR - busy - blocked;
    format!("{}{}{}", "█".repeat(busy), "▒".repeat(blocked), "·".repeat(rest))
}
