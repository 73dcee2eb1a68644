//! How much the service answers on this machine, so that the load is too much on any.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    caller::{Answer, Caller},
    load::apart,
    targets::Targets,
};

/// Enough to keep every connection to the database busy, and few enough to stand in its line.
const CALLERS: u32 = 16;

/// How long they ask.
const ASKING: Duration = Duration::from_secs(1);

/// How long their last answers may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Broad searches answered per second, by callers that each ask again as soon as they have their
/// answer: a closed loop finds the most that the service does, where the open loop of the load
/// finds out what happens beyond. Generator and service share the machine here as they do there.
///
/// Cancel safe: dropped, it ends the callers.
///
/// # Errors
///
/// When a request fails, or none is answered.
pub async fn measure(address: SocketAddr, targets: Targets) -> anyhow::Result<f64> {
    apart("capacity", move || async move {
        let asking = ask_all(address, targets);
        timeout(ASKING + ANSWER_WITHIN, asking).await.context("the service does not answer")?
    })
    .await?
}

async fn ask_all(address: SocketAddr, targets: Targets) -> anyhow::Result<f64> {
    let shared = Arc::new((Caller::new(address), targets));
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let shared = Arc::clone(&shared);
        callers.spawn(async move {
            let (caller, targets) = &*shared;
            let mut answered = 0_u32;
            while start.elapsed() < ASKING {
                let path = targets.broad(answered.wrapping_mul(CALLERS).wrapping_add(number));
                match caller.ask("capacity", path).await {
                    Answer::Admitted => answered += 1,
                    other => bail!("could not measure the capacity: {other:?}"),
                }
            }
            Ok(answered)
        });
    }
    let mut answered = 0.0;
    while let Some(caller) = callers.join_next().await {
        answered += f64::from(caller??);
    }
    Ok(answered / start.elapsed().as_secs_f64())
}
