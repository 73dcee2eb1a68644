//! What the run found: a table, a file for programs, a file for people.

use crate::{bench::Findings, machine, on::On, row::Row, stats::Summary, suites::Suite};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

const METHOD: &str = "\
Rounds of ours and of every peer take turns in one process (A B C A B C …), so that a machine that \
slows down slows all of them. A round is a fixed number of operations, about 4 ms long, after an \
eighth of that to warm up. On two threads both work on one object, start together, and each \
figure is nanoseconds per operation as one thread sees it, the mean of the two. A round is dropped \
if a thread waited for a CPU for 1 % of it or more (`/proc/thread-self/schedstat`): otherwise the \
threads may have run one after the other, and contention looks cheap. Of each limiter that many \
threads share there are eight copies that take turns, because where one happens to lie in memory \
decides a fifth of what two threads pay for it. A flow is a fixed number of items through tasks on \
one flavour of runtime, some 12 ms of them; its figure is nanoseconds per item for the whole way, and a \
round is dropped if the threads of the process together waited for a CPU for 1 % of it, except where \
subjects have more threads than there are CPUs. Figures are medians of the kept rounds, quartiles in \
brackets; the ratio is peer ÷ ours, so above 1 ours is faster. What every \
operation answers is counted: a bucket that should admit and ran dry stops the run. Memory is the \
growth of resident memory per key, each subject in a process of its own.
";

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    suites: Vec<(&'static Suite, Findings)>,
}

impl Report {
    pub(crate) fn add(&mut self, suite: &'static Suite, findings: Findings) {
        self.suites.push((suite, findings));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows().next().is_none()
    }

    /// Whether every target could be judged: the run was a quiet one.
    pub(crate) fn is_settled(&self) -> bool {
        self.rows().all(|(_, row)| row.verdict.as_ref().is_none_or(|verdict| verdict.ok.is_some()))
    }

    fn rows(&self) -> impl Iterator<Item = (&'static Suite, &Row)> {
        self.suites
            .iter()
            .flat_map(|(suite, findings)| findings.rows.iter().map(move |row| (*suite, row)))
    }

    /// For the terminal.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for (suite, findings) in &self.suites {
            let _ = writeln!(text, "\n{}\n\n{}", suite.name, grid(&findings.rows));
            for note in &findings.notes {
                let _ = writeln!(text, "{note}");
            }
        }
        text
    }

    /// How many targets were reached, and which were not.
    pub(crate) fn verdict(&self) -> String {
        verdict(self.rows().map(|(_, row)| row))
    }

    /// Writes report.json and BENCHMARKS.md under target/bench, and the latter
    /// to the root of the workspace if `publish`. Answers what was written.
    pub(crate) fn save(&self, publish: bool) -> Result<Vec<PathBuf>> {
        let folder = machine::output()?;
        let json = folder.join("report.json");
        write(&json, &format!("{:#}\n", self.json()))?;
        let published = machine::root().join("BENCHMARKS.md");
        // The suites that did not run keep their sections.
        let mut page = fs::read_to_string(&published).unwrap_or_default();
        for (suite, findings) in &self.suites {
            let body = section(suite, findings)? + &by_hand(suite.name)?;
            page = with_section(&page, suite.name, &body);
        }
        let copy = folder.join("BENCHMARKS.md");
        write(&copy, &page)?;
        let mut written = vec![json, copy];
        if publish {
            write(&published, &page)?;
            written.push(published);
        }
        Ok(written)
    }

    fn json(&self) -> Value {
        let rows: Vec<_> = self
            .rows()
            .map(|(suite, row)| {
                let (on, place) = match row.on {
                    On::Threads(threads) => ("threads", json!(threads)),
                    runtime => ("runtime", json!(runtime.to_string())),
                };
                json!({
                    "suite": suite.name,
                    "case": row.case,
                    on: place,
                    "unit": row.unit.name(),
                    "ours_ns": rounded(row.ours.median),
                    "peer": row.peer,
                    "peer_ns": rounded(row.theirs.median),
                    "ratio": rounded(row.ratio()),
                })
            })
            .collect();
        json!({ "rows": rows })
    }
}

fn verdict<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let judged: Vec<_> = rows.filter_map(|row| Some((row, row.verdict.as_ref()?))).collect();
    let missed = judged.iter().filter(|(_, verdict)| verdict.ok == Some(false));
    let missed: Vec<_> = missed
        .map(|(row, verdict)| {
            format!("\n  missed: {}, {}: {}, is {}", row.case, row.on, verdict.target, is(row))
        })
        .collect();
    let open = judged.iter().filter(|(_, verdict)| verdict.ok.is_none()).count();
    let reached = judged.len() - missed.len() - open;
    let open = if open > 0 { format!(", {open} not decided") } else { String::new() };
    format!("{reached} of {} targets reached{open}{}", judged.len(), missed.concat())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("could not write {}", file.display()))
}

fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

/// What a target that was missed came to.
fn is(row: &Row) -> String {
    let (ours, unit) = (figure(row.ours.median), row.unit.name());
    format!("{ours} {unit}, {:.2}× {}", 1.0 / row.ratio(), row.peer)
}

/// Three digits say enough.
fn figure(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

fn spread(Summary { q1, median, q3 }: Summary) -> String {
    if q1 == q3 {
        return figure(median);
    }
    format!("{} [{}–{}]", figure(median), figure(q1), figure(q3))
}

/// A Markdown table, aligned so that it reads well as text too. A figure of a
/// peer stands in it once, and again only where a target or a case begins with it.
fn grid(rows: &[Row]) -> String {
    let head = ["case", "on", "ours", "peer", "peer's", "ratio", "target"];
    let mut lines = vec![head.map(String::from)];
    let mut last = None;
    let mut shown: Vec<(On, &str, Summary)> = Vec::new();
    for row in rows {
        // What is the same as in the line above is not said again.
        let ours = (row.case.as_str(), row.on);
        let theirs = (row.on, row.peer.as_str(), row.theirs);
        if last == Some(ours) && row.verdict.is_none() && shown.contains(&theirs) {
            continue;
        }
        shown.push(theirs);
        let once = |text: String| if last == Some(ours) { String::new() } else { text };
        let target = row.verdict.as_ref().map_or_else(String::new, |verdict| {
            let ok = verdict.ok.map_or("?", |ok| if ok { "ok" } else { "MISSED" });
            format!("{} {ok}", verdict.target)
        });
        lines.push([
            once(row.case.clone()),
            once(row.on.to_string()),
            once(spread(row.ours)),
            row.peer.clone(),
            spread(row.theirs),
            format!("{:.2}", row.ratio()),
            target,
        ]);
        last = Some(ours);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<_> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (i, line) in lines.iter().enumerate() {
        for (cell, &width) in line.iter().zip(&widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if i == 0 {
            for width in &widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// A suite's section of BENCHMARKS.md, without its heading.
fn section(suite: &Suite, findings: &Findings) -> Result<String> {
    let versions = machine::versions(suite.packages)?.join(", ");
    let machine = machine::line();
    let mut text = format!(
        "{}\n\nMachine: {machine}.\n\nPeers: {versions}.\n\nNanoseconds per operation, or bytes \
         per key where the case says so.\n\n{}\n{}.\n\n",
        suite.about,
        grid(&findings.rows),
        verdict(findings.rows.iter()).replace("\n  missed", "\n- missed")
    );
    for note in &findings.notes {
        let _ = writeln!(text, "- {note}");
    }
    Ok(text)
}

/// What people wrote about a suite, to stand below its figures:
/// `benches/notes/<suite>.md`, if there is one.
fn by_hand(suite: &str) -> Result<String> {
    let file = machine::root().join("benches/notes").join(format!("{suite}.md"));
    match fs::read_to_string(&file) {
        Ok(text) => Ok(format!("\n{text}")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("could not read {}", file.display())),
    }
}

/// The page with this suite's section put in, or in the place of the old one.
/// Sections that people wrote stay.
fn with_section(page: &str, name: &str, body: &str) -> String {
    let heading = |name: &str| format!("\n## Suite: {name}\n");
    let section = format!("{}\n{body}", heading(name));
    let page = if page.is_empty() {
        format!(
            "# Benchmarks\n\nThe last full run of `cargo xtask bench`.\n\n## Method\n\n{METHOD}"
        )
    } else {
        page.to_owned()
    };
    let Some(start) = page.find(&heading(name)) else { return format!("{page}{section}") };
    let rest = start + heading(name).len();
    let end = page[rest..].find("\n## ").map_or(page.len(), |next| rest + next);
    format!("{}{section}{}", &page[..start], &page[end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        on::TWO,
        row::{Unit, Verdict},
    };

    fn row() -> Row {
        Row {
            case: "token bucket allowed".into(),
            on: TWO,
            unit: Unit::Nanoseconds,
            ours: Summary { q1: 9.0, median: 10.0, q3: 12.5 },
            peer: "governor".into(),
            theirs: Summary::exactly(25.0),
            verdict: Some(Verdict { target: "≤ 1× governor".into(), ok: Some(true) }),
        }
    }

    #[test]
    fn a_row_shows_median_quartiles_ratio_and_verdict() {
        let grid = grid(&[row()]);
        let line = grid.lines().last().unwrap();
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let expected = [
            "",
            "token bucket allowed",
            "2 threads",
            "10.0 [9.00–12.5]",
            "governor",
            "25.0",
            "2.50",
            "≤ 1× governor ok",
            "",
        ];
        assert_eq!(cells, expected);
    }

    #[test]
    fn a_target_is_not_decided_when_the_machine_was_busy() {
        let open = Some(Verdict { target: "≤ 1× governor".into(), ok: None });
        let rows = [row(), Row { verdict: open, ..row() }];
        assert_eq!(verdict(rows.iter()), "1 of 2 targets reached, 1 not decided");
    }

    #[test]
    fn a_peer_stands_in_the_table_once_and_where_a_case_begins() {
        let peer = |case: &str, peer: &str| Row {
            case: case.into(),
            peer: peer.into(),
            verdict: None,
            ..row()
        };
        let rows = [peer("a", "x"), peer("a", "y"), peer("b", "x"), peer("b", "y")];
        let grid = grid(&rows);
        let cell = |line: &str, i: usize| line.split('|').nth(i).map(|cell| cell.trim().to_owned());
        let seen: Vec<_> =
            grid.lines().skip(2).map(|line| (cell(line, 1), cell(line, 4))).collect();
        let line = |case: &str, peer: &str| (Some(case.to_owned()), Some(peer.to_owned()));
        assert_eq!(seen, [line("a", "x"), line("", "y"), line("b", "x")]);
    }

    #[test]
    fn what_people_wrote_stays_within_its_section() {
        assert_eq!(by_hand("a suite without notes").unwrap(), "");
        for suite in crate::suites::named(&[]).unwrap() {
            let notes = by_hand(suite.name).unwrap();
            let page = with_section("", suite.name, &notes);
            assert_eq!(with_section(&page, suite.name, &notes), page, "{}", suite.name);
        }
    }

    #[test]
    fn a_new_run_replaces_its_own_section_and_no_other() {
        let page = with_section("", "a", "old figures\n");
        let page = with_section(&page, "b", "two\n");
        let page = format!("{page}\n## Designs tried\n\nby hand\n");
        let page = with_section(&page, "a", "three\n");
        assert!(page.starts_with("# Benchmarks\n"));
        assert!(!page.contains("old figures"));
        assert!(page.ends_with(
            "\n## Suite: a\n\nthree\n\n## Suite: b\n\ntwo\n\n## Designs tried\n\nby hand\n"
        ));
    }
}
