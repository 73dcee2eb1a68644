//! The SQLite file: made, and filled in one transaction by the ingest.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use rusqlite::{Connection, params};

use crate::catalogue::Product;

/// Marks a database file as ours: "PLIM".
const APPLICATION_ID: i32 = 0x504c_494d;

/// `products_fts` is an index over `products` and keeps no text of its own.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS products (
        id           INTEGER PRIMARY KEY,
        name         TEXT NOT NULL,
        version      TEXT NOT NULL,
        description  TEXT,
        keywords     TEXT NOT NULL,
        categories   TEXT NOT NULL,
        licence      TEXT,
        dependencies TEXT NOT NULL,
        repository   TEXT,
        UNIQUE (name, version)
    );
    CREATE VIRTUAL TABLE IF NOT EXISTS products_fts USING fts5 (
        name, keywords, categories, description, content = 'products', content_rowid = 'id'
    );
    CREATE TABLE IF NOT EXISTS orders (
        id        INTEGER PRIMARY KEY,
        product   INTEGER NOT NULL REFERENCES products (id),
        quantity  INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 1000),
        note      TEXT,
        placed_at INTEGER NOT NULL
    );
";

/// A database file; a temporary one is removed with this value.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    temporary: Option<TemporaryFolder>,
}

impl Database {
    /// A file that stays, made if it is not there.
    ///
    /// # Errors
    ///
    /// When the path can't be written, with the system's reason.
    pub fn at(path: &Path) -> anyhow::Result<Self> {
        // SQLite only says "unable to open"; the system knows why.
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("could not write the database {}", path.display()))?;
        Ok(Self { path: path.to_owned(), temporary: None })
    }

    /// A file in a folder of its own that goes when this value goes.
    ///
    /// # Errors
    ///
    /// When the system's temporary folder can't be written.
    pub fn temporary() -> anyhow::Result<Self> {
        let folder = TemporaryFolder::new().with_context(|| {
            let parent = std::env::temp_dir();
            format!("could not write a temporary database in {}", parent.display())
        })?;
        Ok(Self { path: folder.0.join("storefront.db"), temporary: Some(folder) })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file goes when this value goes.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// Writes the products in one transaction and returns how many the database holds then. A
    /// name and version that it already had keeps its id and takes the new contents.
    ///
    /// # Errors
    ///
    /// When the file is no database, is another program's, or can't be written.
    pub fn fill(&self, products: &[Product]) -> anyhow::Result<u64> {
        let mut connection = self.connect()?;
        self.write(&mut connection, products)
            .with_context(|| format!("could not fill the database {}", self.path.display()))
    }

    fn write(&self, connection: &mut Connection, products: &[Product]) -> anyhow::Result<u64> {
        let tables: u64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let owner: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        if tables > 0 && owner != APPLICATION_ID {
            bail!("it holds tables of another program; name a new file");
        }
        // Readers in WAL mode don't wait for a writer, nor it for them.
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;

        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        {
            let mut insert = transaction.prepare(
                "INSERT INTO products (name, version, description, keywords, categories, licence,
                                       dependencies, repository)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (name, version) DO UPDATE SET
                    description = excluded.description, keywords = excluded.keywords,
                    categories = excluded.categories, licence = excluded.licence,
                    dependencies = excluded.dependencies, repository = excluded.repository",
            )?;
            for product in products {
                insert.execute(params![
                    product.name,
                    product.version,
                    product.description,
                    serde_json::to_string(&product.keywords)?,
                    serde_json::to_string(&product.categories)?,
                    product.licence,
                    serde_json::to_string(&product.dependencies)?,
                    product.repository,
                ])?;
            }
        }
        // The index is built in one go, at the end: cheaper than row by row, and right after an
        // update too.
        transaction.execute("INSERT INTO products_fts (products_fts) VALUES ('rebuild')", [])?;
        let held = transaction.query_row("SELECT count(*) FROM products", [], |row| row.get(0))?;
        transaction.commit()?;
        Ok(held)
    }

    /// One more connection to it.
    pub(crate) fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.path)
            .with_context(|| format!("could not open the database {}", self.path.display()))
    }
}

#[derive(Debug)]
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> io::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("storefront-{}-{}", std::process::id(), now.as_nanos());
        let path = std::env::temp_dir().join(name);
        // Fails if somebody else made it first.
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("could not remove {}: {error}", self.0.display());
        }
    }
}
