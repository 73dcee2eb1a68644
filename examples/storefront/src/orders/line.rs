//! The bare way: one order after the other, each a transaction of its own.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::{sync::Semaphore, task};

use super::{Order, OrderError, write};

#[derive(Debug)]
pub(super) struct OneByOne {
    /// Until it is closed.
    connection: Mutex<Option<Connection>>,
    /// One permit, for the connection.
    turn: Arc<Semaphore>,
    /// One permit for each order that is written or waits.
    places: Arc<Semaphore>,
}

impl OneByOne {
    pub(super) fn new(connection: Connection, in_line: usize) -> Self {
        Self {
            connection: Mutex::new(Some(connection)),
            turn: Arc::new(Semaphore::new(1)),
            places: Arc::new(Semaphore::new(1 + in_line)),
        }
    }

    /// Dropped while it waits, nothing has happened; dropped later, the order is
    /// written all the same.
    pub(super) async fn place(self: &Arc<Self>, order: Order) -> Result<i64, OrderError> {
        let busy = |_| OrderError::Busy;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| OrderError::Busy)?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(busy)?;
        let this = Arc::clone(self);
        let write = task::spawn_blocking(move || {
            let _permits = (place, turn);
            let mut connection = this.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = connection.as_mut().ok_or(OrderError::Busy)?;
            let lost = || Err(OrderError::Lost("it was written, and has no number".into()));
            write(connection, &[order]).pop().unwrap_or_else(lost)
        });
        write.await.unwrap_or_else(|error| Err(OrderError::Lost(error.to_string())))
    }

    /// Waits for the order that is being written. Those in line are busy.
    pub(super) async fn close(&self) {
        self.places.close();
        if let Ok(turn) = self.turn.acquire().await {
            self.turn.close();
            drop(turn);
            self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}
