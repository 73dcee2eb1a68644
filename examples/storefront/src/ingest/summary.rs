//! What an ingest did: to be printed, judged, and kept as JSON.

use std::{fmt, path::Path};

use serde::Serialize;

use super::{
    Ingest,
    account::{Counted, Counts, Letter},
};
use crate::{report::count, verdict::Verdict};

/// The figures of an [`Ingest`].
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Products that the database holds.
    pub products: u64,
    /// Pages that it holds.
    pub pages: u64,
    /// Manifests, and lines of a catalogue.
    pub manifests: Counts,
    /// Source files.
    pub sources: Counts,
    /// Read from files and lines.
    pub bytes: u64,
    /// From the start of the pipeline to its end.
    pub seconds: f64,
    /// Manifests, lines and source files.
    pub items_per_second: f64,
    /// Of `bytes`.
    pub bytes_per_second: f64,
    /// The stage that the others waited for.
    pub bottleneck: Option<String>,
    /// The first few broken items.
    pub dead_letters: Vec<Letter>,
}

impl Ingest {
    /// The figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let Counted { manifests, sources, bytes, letters, .. } = self.counted.clone();
        let seconds = self.report.elapsed.as_secs_f64();
        let per_second = |number| if seconds > 0.0 { count(number) / seconds } else { 0.0 };
        Figures {
            products: self.held.products,
            pages: self.held.pages,
            bytes,
            seconds,
            items_per_second: per_second(manifests.found + sources.found),
            bytes_per_second: per_second(bytes),
            bottleneck: self.report.bottleneck().map(|it| it.stage.to_string()),
            dead_letters: letters,
            manifests,
            sources,
        }
    }

    /// Manifests, and lines of a catalogue.
    #[must_use]
    pub fn manifests(&self) -> &Counts {
        &self.counted.manifests
    }

    /// Source files.
    #[must_use]
    pub fn sources(&self) -> &Counts {
        &self.counted.sources
    }

    /// The first few broken items.
    #[must_use]
    pub fn dead_letters(&self) -> &[Letter] {
        &self.counted.letters
    }

    /// What a reader should know about the sources as a whole.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.counted.notes
    }

    /// Whether every manifest that was found was written, left out or named as broken; and every
    /// source file too, and whether the pipeline says the same.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let Counted { manifests, sources, .. } = &self.counted;
        let report = &self.report;
        let both = |of: fn(&Counts) -> u64| of(manifests) + of(sources);
        let agree = [
            (report.read, both(|it| it.found)),
            (report.written, both(|it| it.written)),
            (report.filtered, both(Counts::left_out)),
            (report.dead_lettered, both(|it| it.dead_lettered)),
        ];
        let agree = agree.iter().all(|(theirs, ours)| theirs == ours);
        let says = format!("every manifest is accounted for: {manifests}");
        Verdict {
            holds: manifests.add_up() && sources.add_up() && agree,
            says: if agree { says } else { says + "; the pipeline counted otherwise" },
        }
    }
}

/// The table of the pipeline, the first dead letters, the account, and what was left out and why.
impl fmt::Display for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counted { manifests, sources, bytes, letters, notes } = &self.counted;
        writeln!(f, "{}", self.report)?;
        for letter in letters {
            writeln!(f, "  dead letter of {letter}")?;
        }
        let broken = manifests.dead_lettered + sources.dead_lettered;
        let more = broken.saturating_sub(letters.len() as u64);
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        for note in notes {
            writeln!(f, "  note: {note}")?;
        }
        for (what, counts) in [("manifests", manifests), ("source files", sources)] {
            writeln!(f, "{what}: {counts}")?;
            for (why, number) in &counts.filtered {
                writeln!(f, "  filtered: {number}, {why}")?;
            }
        }
        let megabytes = count(*bytes) / 1e6;
        let Figures { items_per_second, bytes_per_second, .. } = self.figures();
        write!(
            f,
            "{megabytes:.1} MB read, {items_per_second:.0} items and {:.1} MB per second",
            bytes_per_second / 1e6
        )
    }
}

/// What to say when there is nothing to sell.
pub(super) fn nothing(place: &Path, counted: &Counted) -> String {
    let Counted { manifests, letters, notes, .. } = counted;
    let letters = letters.iter().map(ToString::to_string);
    format!(
        "found no product in {} ({} broken){}\n\
         Give a file of JSON lines instead: --catalogue FILE, one product per line, such as\n\
         {{\"name\": \"lamp\", \"version\": \"1.0.0\", \"description\": \"A desk lamp\", \
         \"keywords\": [\"light\"]}}",
        place.display(),
        manifests.dead_lettered,
        notes.iter().cloned().chain(letters).map(|it| format!("\n  {it}")).collect::<String>(),
    )
}
