//! The SQLite file: made, and filled batch by batch.

mod writer;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use rusqlite::Connection;

pub use self::writer::Held;
pub(crate) use self::writer::Writer;
use crate::catalogue::Product;

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

    /// Writes products in one transaction and returns how many the database holds then. A name and
    /// version that it already had keeps its id and takes the new contents.
    ///
    /// # Errors
    ///
    /// When the file is no database, is another program's, or can't be written.
    pub fn fill(&self, products: &[Product]) -> anyhow::Result<u64> {
        let mut writer = self.writer()?;
        let written = writer.write_products(products).and_then(|()| writer.finish());
        Ok(written.with_context(|| self.could_not_fill())?.products)
    }

    /// The connection that fills it; there should be one at a time.
    ///
    /// # Errors
    ///
    /// As for [`fill`](Self::fill).
    pub(crate) fn writer(&self) -> anyhow::Result<Writer> {
        Writer::new(self.connect()?).with_context(|| self.could_not_fill())
    }

    pub(crate) fn could_not_fill(&self) -> String {
        format!("could not fill the database {}", self.path.display())
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
