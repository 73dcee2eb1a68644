//! A run on a progress bar.

use crate::stats::Registry;
use indicatif::ProgressBar;

/// Brings `bar` up to date.
pub(crate) fn show(bar: &ProgressBar, registry: &Registry) {
    let report = registry.report();
    if let Some(expected) = registry.expected() {
        bar.set_length(expected);
    }
    bar.set_position(report.read - report.inside());
    if let Some(bottleneck) = report.bottleneck() {
        bar.set_message(format!("bottleneck: {}", bottleneck.stage));
    }
    if report.is_over {
        bar.finish();
    }
}
