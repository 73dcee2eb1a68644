//! What tests of the ingest share.
#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(unreachable_pub, reason = "there is no crate around it")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use plimsoll::pipeline::CancellationToken;
use rusqlite::{Connection, types::FromSql};
use storefront::{
    database::Database,
    ingest::{Ingest, Sources, Workers, account::Counts, ingest},
};

/// A fresh folder for one test.
pub fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue/sample.jsonl")
}

/// A database in a folder, and a look into it.
pub struct Shop {
    pub database: Database,
    pub look: Connection,
}

impl Shop {
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("shop.db");
        Self { database: Database::at(&path).unwrap(), look: Connection::open(&path).unwrap() }
    }

    pub async fn ingest(&self, sources: Sources) -> anyhow::Result<Ingest> {
        let workers = Workers { read: 4, parse: 4 };
        ingest(&self.database, sources, workers, CancellationToken::new(), None).await
    }

    pub fn ask<T: FromSql>(&self, query: &str) -> Vec<T> {
        let mut statement = self.look.prepare(query).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// How many rows there are; none where there is no table.
    pub fn count(&self, table: &str) -> u64 {
        let query = format!("SELECT count(*) FROM {table}");
        self.look.query_row(&query, [], |row| row.get(0)).unwrap_or_default()
    }

    /// Holds the full-text indexes against what they are indexes of.
    pub fn check_indexes(&self) {
        for index in ["products_fts", "pages_fts"] {
            let check =
                format!("INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)");
            self.look.execute(&check, []).unwrap();
        }
    }
}

/// Writes a file and the folders above it.
pub fn plant(path: PathBuf, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub fn manifest(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\n")
}

pub fn counts(
    found: u64,
    written: u64,
    filtered: &[(&'static str, u64)],
    dead_lettered: u64,
) -> Counts {
    Counts {
        found,
        written,
        filtered: BTreeMap::from_iter(filtered.iter().copied()),
        dead_lettered,
    }
}
