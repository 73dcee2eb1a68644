//! What went wrong, and how it is said.

use std::{borrow::Cow, fmt};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};

use crate::store::ReadError;

/// What went wrong, for the caller: a status and a sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    status: StatusCode,
    says: Cow<'static, str>,
    /// In seconds.
    retry_after: Option<u32>,
}

impl Mistake {
    pub(crate) fn new(status: StatusCode, says: impl Into<Cow<'static, str>>) -> Self {
        Self { status, says: says.into(), retry_after: None }
    }

    /// The same, and when to come back.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub(crate) fn bad(says: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, says)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.says)
    }
}

impl From<ReadError> for Mistake {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many reads wait"),
            ReadError::Sqlite(error) => {
                // The caller can't mend it and need not know what we store where.
                eprintln!("a read failed: {error}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the product store failed")
            }
            ReadError::Lost => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the product store failed")
            }
        }
    }
}

impl IntoResponse for Mistake {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "error": self.says }));
        let retry_after =
            self.retry_after.map(|seconds| [(RETRY_AFTER, HeaderValue::from(seconds))]);
        match retry_after {
            Some(header) => (self.status, header, body).into_response(),
            None => (self.status, body).into_response(),
        }
    }
}
