//! How a run fails.

use crate::stats::Report;
use plimsoll_core::{AsRejected, Rejected};
use std::{any::Any, error::Error, fmt, sync::Arc};

/// Any error of any stage.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A run that did not finish its work: why, and what became of every item.
///
/// `source()` is the stage's own error, so that chains of errors go on; see
/// [`downcast_ref`](Self::downcast_ref) for its type.
pub struct RunError {
    cause: Cause,
    report: Box<Report>,
}

/// Why a run ended early.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// A stage failed, and its errors stop the run.
    Failed {
        /// The stage.
        stage: Arc<str>,
        /// What it said.
        error: BoxError,
    },
    /// A stage panicked.
    Panicked {
        /// The stage.
        stage: Arc<str>,
        /// The panic's message.
        message: Arc<str>,
    },
    /// What was inside was not finished within
    /// [`drain_within`](crate::Pipeline::drain_within), and was cut off.
    CutOff {
        /// The stages that were still at work.
        stages: Vec<Arc<str>>,
    },
}

impl RunError {
    pub(crate) fn new(cause: Cause, report: Report) -> Self {
        Self { cause, report: Box::new(report) }
    }

    /// Why.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Why, to be taken apart.
    #[must_use]
    pub fn into_cause(self) -> Cause {
        self.cause
    }

    /// Why, and what became of every item.
    #[must_use]
    pub fn into_parts(self) -> (Cause, Report) {
        (self.cause, *self.report)
    }

    /// What became of every item.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The stage's own error, if it is a `T`.
    #[must_use]
    pub fn downcast_ref<T: Error + 'static>(&self) -> Option<&T> {
        match &self.cause {
            Cause::Failed { error, .. } => error.downcast_ref(),
            Cause::Panicked { .. } | Cause::CutOff { .. } => None,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Failed { stage, .. } => write!(f, "stage `{stage}` failed"),
            Cause::Panicked { stage, message } => write!(f, "stage `{stage}` panicked: {message}"),
            Cause::CutOff { stages } if stages.is_empty() => {
                f.write_str("the pipeline was cut off before it had drained")
            }
            Cause::CutOff { stages } => write!(
                f,
                "the pipeline was cut off before it had drained; at work: {}",
                stages.join(", ")
            ),
        }
    }
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunError")
            .field("cause", &self.cause)
            .field("report", &self.report)
            .finish()
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::Failed { error, .. } => Some(&**error),
            Cause::Panicked { .. } | Cause::CutOff { .. } => None,
        }
    }
}

/// Finds a refusal that a stage's error was, or was caused by.
impl AsRejected for RunError {
    fn as_rejected(&self) -> Option<Rejected> {
        Rejected::find(self)
    }
}

/// The message of a panic.
pub(crate) fn message(panic: Box<dyn Any + Send>) -> Arc<str> {
    match panic.downcast::<String>() {
        Ok(text) => text.as_str().into(),
        Err(panic) => panic.downcast::<&str>().map_or("no message", |text| *text).into(),
    }
}
