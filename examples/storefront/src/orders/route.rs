//! `POST /orders`.

use axum::{Json, body::Bytes, extract::State, extract::rejection::BytesRejection};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, error::Category, json};

use super::{MAX_NOTE, MAX_QUANTITY, Order, OrderError, Orders};
use crate::http::Mistake;

/// The longest body, in bytes: what an order can need, and then some.
pub(crate) const MAX_BODY: usize = 4_096;

/// When a caller may come back that found the line full. Commits take
/// milliseconds, so a second is many batches.
const BACK_IN_SECONDS: u32 = 1;

/// Answers 201 with the order's number when the order is on the disk.
pub(crate) async fn place(
    State(orders): State<Orders>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Mistake> {
    let body = body.map_err(|rejection| {
        let says = format!("an order has at most {MAX_BODY} bytes, and has to arrive whole");
        Mistake::new(rejection.status(), says)
    })?;
    let id = orders.place(parse(&body)?).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    product: i64,
    quantity: i64,
    note: Option<String>,
}

/// 400 for what is no JSON, 422 for JSON that is no order.
fn parse(body: &[u8]) -> Result<Order, Mistake> {
    const SHAPE: &str =
        r#"an order is {"product": ID, "quantity": N, "note": "TEXT"}, the note optional"#;
    let wrong = |says: String| Mistake::new(StatusCode::UNPROCESSABLE_ENTITY, says);
    let asked = serde_json::from_slice::<Asked>(body).map_err(|error| match error.classify() {
        Category::Data => wrong(format!("{SHAPE}: {error}")),
        _ => Mistake::new(StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}")),
    })?;
    let Asked { product, quantity, note } = asked;
    let quantity = u16::try_from(quantity).ok().filter(|n| (1..=MAX_QUANTITY).contains(n));
    let quantity = quantity
        .ok_or_else(|| wrong(format!("quantity is a whole number from 1 to {MAX_QUANTITY}")))?;
    if note.as_ref().is_some_and(|note| note.len() > MAX_NOTE) {
        return Err(wrong(format!("a note has at most {MAX_NOTE} bytes")));
    }
    Ok(Order { product, quantity, note })
}

impl From<OrderError> for Mistake {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
                .retry_after(BACK_IN_SECONDS),
            OrderError::NoSuchProduct(_) => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            OrderError::Sqlite(_) | OrderError::Lost(_) => {
                // The caller can't mend it and need not know what we store where.
                eprintln!("{error}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the order could not be written")
            }
        }
    }
}
