//! Writing the database: a transaction for a batch, in step with the full-text indexes.

use anyhow::bail;
use rusqlite::{CachedStatement, Connection, Transaction, params};
use serde::Serialize;

use crate::{
    catalogue::Product,
    ingest::{Entry, Identity, Page},
};

/// Marks a database file as ours: "PLIM".
const APPLICATION_ID: i32 = 0x504c_494d;

/// The indexes keep no text of their own, and triggers keep them in step, row by row: whatever a
/// transaction does to a table it does to its index, so a run that ends in the middle leaves
/// nothing to be repaired. To rebuild them at the end would be cheaper for a table that is written
/// as a whole; but until then a search would not find what is there, and a second run, in which
/// next to nothing changes, would pay for all of it.
const SCHEMA: &str = include_str!("schema.sql");

/// What a database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Products.
    pub products: u64,
    /// Pages of their documentation.
    pub pages: u64,
}

/// The one connection that fills a database.
#[derive(Debug)]
pub(crate) struct Writer(Connection);

impl Writer {
    /// Makes the tables, if they are not there.
    ///
    /// # Errors
    ///
    /// When the file is no database, is another program's, or can't be written.
    pub(super) fn new(connection: Connection) -> anyhow::Result<Self> {
        let tables: u64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let owner: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        if tables > 0 && owner != APPLICATION_ID {
            bail!("it holds tables of another program; name a new file");
        }
        // Readers in WAL mode don't wait for a writer, nor it for them.
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        // After a power cut the database is whole, and may lack the last batches: an ingest can be
        // run again. Orders can't, and have a connection with FULL.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.execute_batch(&format!("BEGIN;\n{SCHEMA}\nCOMMIT;"))?;
        Ok(Self(connection))
    }

    /// Writes all of a batch, or, with an error, nothing.
    ///
    /// What is there already under the same name, or path, keeps its id and takes the new
    /// contents; where those are the same, nothing is touched.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub(crate) fn write(&mut self, batch: &[Entry]) -> anyhow::Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut products = Products::new(&transaction)?;
            let mut pages = Pages::new(&transaction)?;
            for entry in batch {
                match entry {
                    Entry::Product(product) => products.write(product)?,
                    Entry::Page(product, page) => pages.write(product, page)?,
                }
            }
        }
        Ok(transaction.commit()?)
    }

    /// [`write`](Self::write), for products alone.
    pub(super) fn write_products(&mut self, all: &[Product]) -> anyhow::Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut products = Products::new(&transaction)?;
            all.iter().try_for_each(|product| products.write(product))?;
        }
        Ok(transaction.commit()?)
    }

    /// Makes the index of products one piece, as searches want it after many small transactions,
    /// and counts what the database holds.
    ///
    /// # Errors
    ///
    /// When SQLite says no.
    pub(crate) fn finish(&self) -> anyhow::Result<Held> {
        self.0.execute("INSERT INTO products_fts (products_fts) VALUES ('optimize')", [])?;
        let count = |table| {
            self.0.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
        };
        Ok(Held { products: count("products")?, pages: count("pages")? })
    }
}

struct Products<'a>(CachedStatement<'a>);

impl<'a> Products<'a> {
    fn new(transaction: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        let insert = "
            INSERT INTO products (name, version, description, keywords, categories, licence,
                                  dependencies, repository)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            ON CONFLICT (name, version) DO UPDATE SET
                description = excluded.description, keywords = excluded.keywords,
                categories = excluded.categories, licence = excluded.licence,
                dependencies = excluded.dependencies, repository = excluded.repository
            WHERE (description, keywords, categories, licence, dependencies, repository) IS NOT
                  (excluded.description, excluded.keywords, excluded.categories,
                   excluded.licence, excluded.dependencies, excluded.repository)";
        Ok(Self(transaction.prepare_cached(insert)?))
    }

    fn write(&mut self, product: &Product) -> anyhow::Result<()> {
        self.0.execute(params![
            product.name,
            product.version,
            product.description,
            serde_json::to_string(&product.keywords)?,
            serde_json::to_string(&product.categories)?,
            product.licence,
            serde_json::to_string(&product.dependencies)?,
            product.repository,
        ])?;
        Ok(())
    }
}

struct Pages<'a>(CachedStatement<'a>);

impl<'a> Pages<'a> {
    fn new(transaction: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        // Without its product the value is NULL, and the row is refused.
        let insert = "
            INSERT INTO pages (product, path, title, text)
            VALUES ((SELECT id FROM products WHERE name = ?1 AND version = ?2), ?3, ?4, ?5)
            ON CONFLICT (product, path) DO UPDATE SET title = excluded.title, text = excluded.text
            WHERE (title, text) IS NOT (excluded.title, excluded.text)";
        Ok(Self(transaction.prepare_cached(insert)?))
    }

    fn write(&mut self, product: &Identity, page: &Page) -> anyhow::Result<()> {
        let Identity { name, version } = product;
        let Page { path, title, text } = page;
        self.0.execute(params![name, version, path, title, text])?;
        Ok(())
    }
}
