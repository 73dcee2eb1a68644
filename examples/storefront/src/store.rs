//! Reading the database without blocking the runtime.
//!
//! SQLite calls block, so none runs on a thread of the runtime. A few connections stand ready;
//! a read takes one to a blocking thread and puts it back. Two numbers bound it: how many reads
//! run at once (one per connection), and how many may wait for a connection. Beyond that a read
//! is refused at once: a line that grows without end only makes every answer late.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use rusqlite::Connection;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use crate::{
    database::Database,
    query::{self, Hit, Listed, PageHit},
};

/// Why a read gave no answer.
#[derive(Debug)]
pub enum ReadError {
    /// Every connection is taken and the line for them is full.
    Busy,
    /// SQLite said no.
    Sqlite(rusqlite::Error),
    /// The read panicked.
    Lost,
}

/// Reads, bounded. Cloning gives another handle to the same connections.
#[derive(Clone, Debug)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    held: Mutex<Held>,
    /// One permit per connection.
    running: Arc<Semaphore>,
    /// One permit per read that runs or waits.
    places: Arc<Semaphore>,
    /// How many permits `places` began with.
    all_places: u32,
}

/// What is in the store while nobody reads, and until it is closed.
#[derive(Debug)]
struct Held {
    // Before `database`, so that the files are closed before a temporary folder goes.
    idle: Vec<Connection>,
    database: Option<Database>,
}

impl Shared {
    /// Nothing under the lock can panic half-way, so a poisoned one is as good as any.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Opens `connections` connections; up to `line` further reads may wait for one.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    pub fn open(database: Database, connections: u16, line: u16) -> anyhow::Result<Self> {
        let mut idle = Vec::with_capacity(connections.into());
        for _ in 0..connections {
            let connection = database.connect()?;
            connection
                .pragma_update(None, "query_only", true)
                .with_context(|| format!("could not read {}", database.path().display()))?;
            idle.push(connection);
        }
        Ok(Self(Arc::new(Shared {
            held: Mutex::new(Held { idle, database: Some(database) }),
            running: Arc::new(Semaphore::new(connections.into())),
            places: Arc::new(Semaphore::new(usize::from(connections) + usize::from(line))),
            all_places: u32::from(connections) + u32::from(line),
        })))
    }

    /// Waits for the reads that have begun, then closes the connections and removes a temporary
    /// database. A read that comes later is [`ReadError::Busy`].
    ///
    /// A caller that went away leaves its read running, so the last handle's drop may be too early
    /// to remove the files, or too late for a process that ends.
    ///
    /// Cancel safe: dropped, it has closed all or nothing.
    pub async fn close(&self) {
        // Every place taken is every read ended. An error says that it is closed already.
        if let Ok(all) = self.0.places.acquire_many(self.0.all_places).await {
            self.0.places.close();
            drop(all);
            let mut held = self.0.held();
            held.idle.clear();
            held.database = None;
        }
    }

    /// The best `limit` matches for what somebody typed, best first.
    ///
    /// # Errors
    ///
    /// See [`ReadError`]. No query text is an error.
    pub async fn search(&self, query: &str, limit: u8) -> Result<Vec<Hit>, ReadError> {
        let Some(words) = query::match_expression(query) else { return Ok(Vec::new()) };
        self.read(move |connection| query::search(connection, &words, limit)).await
    }

    /// The best `limit` pages of documentation for what somebody typed, whole words all of it, best
    /// first.
    ///
    /// # Errors
    ///
    /// See [`ReadError`]. No query text is an error.
    pub async fn pages(&self, query: &str, limit: u8) -> Result<Vec<PageHit>, ReadError> {
        let Some(words) = query::match_expression(query) else { return Ok(Vec::new()) };
        self.read(move |connection| query::pages(connection, &words, limit)).await
    }

    /// One product, if there is one with that number.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub async fn product(&self, id: i64) -> Result<Option<Listed>, ReadError> {
        self.read(move |connection| query::product(connection, id)).await
    }

    /// Every number and name with its keywords, for whoever makes up queries.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub async fn ids_and_words(&self) -> Result<(Vec<i64>, Vec<String>), ReadError> {
        self.read(query::ids_and_words).await
    }

    /// How many of these orders are in the database, each counted once.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub async fn orders_among(&self, ids: Vec<i64>) -> Result<u64, ReadError> {
        self.read(move |connection| query::orders_among(connection, ids)).await
    }

    /// One more connection, for whoever writes.
    pub(crate) fn connect(&self) -> anyhow::Result<Connection> {
        let held = self.0.held();
        held.database.as_ref().context("the store is closed")?.connect()
    }

    /// Runs `work` with a connection on a blocking thread.
    ///
    /// Cancel safe: dropped while it waits, it leaves the line; dropped later, the read runs to
    /// its end and gives its connection and place back by itself.
    async fn read<T, F>(&self, work: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let place = Arc::clone(&self.0.places).try_acquire_owned();
        let place = place.map_err(|_| ReadError::Busy)?;
        let turn = Arc::clone(&self.0.running).acquire_owned().await;
        let turn = turn.map_err(|_| ReadError::Busy)?;
        let lent = Lent::take(Arc::clone(&self.0), turn, place).ok_or(ReadError::Busy)?;
        let done = task::spawn_blocking(move || work(lent.connection()));
        done.await.map_err(|_| ReadError::Lost)?.map_err(ReadError::Sqlite)
    }
}

/// A connection out of the store, and the permits that go back with it: also when the read
/// panics.
struct Lent {
    // Taken in `drop`, and only there.
    connection: Option<Connection>,
    shared: Arc<Shared>,
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Lent {
    fn take(
        shared: Arc<Shared>,
        turn: OwnedSemaphorePermit,
        place: OwnedSemaphorePermit,
    ) -> Option<Self> {
        let connection = shared.held().idle.pop()?;
        Some(Self { connection: Some(connection), shared, _turn: turn, _place: place })
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("taken in drop only")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // The connection is back before the permits are: fields drop after this body.
        self.shared.held().idle.extend(self.connection.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Product;
    use std::{path::PathBuf, pin::Pin, task::Poll};

    fn store(products: &[Product]) -> Store {
        let database = Database::temporary().unwrap();
        database.fill(products).unwrap();
        Store::open(database, 2, 2).unwrap()
    }

    fn store_of_a_lamp() -> Store {
        store(&[product("lamp", "")])
    }

    fn path(store: &Store) -> PathBuf {
        store.0.held().database.as_ref().unwrap().path().to_owned()
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    fn product(name: &str, description: &str) -> Product {
        Product {
            name: name.into(),
            version: "1.0.0".into(),
            description: Some(description.into()),
            keywords: vec![],
            categories: vec![],
            licence: None,
            dependencies: vec![],
            repository: None,
        }
    }

    #[tokio::test]
    async fn no_query_text_is_an_error() {
        let store = store(&[product("lamp", "A desk lamp")]);
        for typed in [
            "\"",
            "\"\"\"",
            "lamp\"",
            "NOT",
            "AND OR NOT",
            "NEAR(a b)",
            "name:lamp",
            "^lamp",
            "lamp*",
            "-lamp",
            "{name}:lamp",
            "a+b",
            "\0",
            "lamp\0\"",
            "(",
            "\u{301}",
            "ß\u{301}a",
            "'; DROP",
            "½",
            "a\u{200b}b",
            "🦀",
            "²",
        ] {
            store.search(typed, 10).await.unwrap_or_else(|error| panic!("{typed:?}: {error:?}"));
            store.pages(typed, 10).await.unwrap_or_else(|error| panic!("{typed:?}: {error:?}"));
        }
    }

    #[tokio::test]
    async fn a_word_in_the_name_counts_more_than_in_the_description() {
        let store = store(&[
            product("shade", "Goes over a lamp, any lamp"),
            product("lamp", "For the desk"),
            product("chair", "For the desk"),
        ]);
        let hits = store.search("lamp", 10).await.unwrap();
        let names: Vec<_> = hits.iter().map(|hit| hit.name.as_str()).collect();
        assert_eq!(names, ["lamp", "shade"]);
    }

    #[tokio::test]
    async fn a_product_written_again_keeps_its_number_and_takes_the_new_text() {
        let store = store(&[product("lamp", "old words"), product("chair", "to sit")]);
        let id = store.search("lamp", 1).await.unwrap()[0].id;
        let again = Database::at(&path(&store)).unwrap();
        assert_eq!(again.fill(&[product("lamp", "fresh words")]).unwrap(), 2);
        assert_eq!(store.search("fresh", 1).await.unwrap()[0].id, id);
        assert_eq!(store.search("old", 1).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_read_beyond_the_line_is_refused_and_a_panic_loses_no_connection() {
        let store = store_of_a_lamp();
        for _ in 0..8 {
            let lost = store.read(|_| -> rusqlite::Result<()> { panic!("on purpose") }).await;
            assert!(matches!(lost, Err(ReadError::Lost)));
        }
        // Two run and two wait, all held up by a channel; the fifth is one too many.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let mut reads = task::JoinSet::new();
        for _ in 0..4 {
            let (store, held) = (store.clone(), Arc::clone(&held));
            reads.spawn(async move {
                let wait = move |_: &Connection| Ok(held.lock().unwrap().recv().is_ok());
                store.read(wait).await.map_err(|_| ())
            });
        }
        while store.0.places.available_permits() > 0 {
            task::yield_now().await;
        }
        assert!(matches!(store.search("lamp", 1).await, Err(ReadError::Busy)));
        for _ in 0..4 {
            release.send(()).unwrap();
        }
        assert_eq!(reads.join_all().await, [Ok(true); 4]);
        assert_eq!(store.search("lamp", 1).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_temporary_database_goes_when_its_store_is_closed_or_dropped() {
        let store = store_of_a_lamp();
        let file = path(&store);
        let read = tokio::spawn({
            let store = store.clone();
            async move { store.search("lamp", 1).await.map(|hits| hits.len()).unwrap() }
        });
        assert_eq!(read.await.unwrap(), 1);
        store.close().await;
        assert!(!file.parent().unwrap().exists());
        assert!(matches!(store.search("lamp", 1).await, Err(ReadError::Busy)));
        store.close().await;

        let store = store_of_a_lamp();
        let file = path(&store);
        assert!(file.exists());
        drop(store);
        assert!(!file.parent().unwrap().exists());
    }

    #[tokio::test]
    async fn a_store_closes_after_the_reads_of_callers_that_went_away() {
        let store = store_of_a_lamp();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let mut read = Box::pin(store.read(move |_| Ok(held.recv().is_ok())));
        while store.0.held().idle.len() == 2 {
            assert!(poll_once(&mut read).await.is_none());
        }
        drop(read);

        let mut close = Box::pin(store.close());
        assert!(poll_once(&mut close).await.is_none(), "closed under a read");
        release.send(()).unwrap();
        close.await;
        assert!(store.0.held().idle.is_empty());
    }
}
