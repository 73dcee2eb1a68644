//! What goes through the pipeline, as what it is between which stages.

use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use crate::catalogue::Product;

/// What a source item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The manifest of a package.
    Manifest,
    /// A line of a catalogue, which is to a product what a manifest is.
    Line,
    /// A source file, which may be a page.
    Source,
}

/// Where an item comes from. It goes with it through all stages, and is what is left of one that
/// failed.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    /// Where there are lines, from 1.
    pub(crate) line: Option<u64>,
    /// The package that it belongs to; a line has none.
    pub(crate) package: Option<Arc<Package>>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// A folder with a manifest.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) folder: PathBuf,
    /// Set once its manifest has been taken. The order is kept all the way, so when a page comes,
    /// it is known whether there is a product that it belongs to.
    pub(crate) product: OnceLock<Arc<Identity>>,
}

impl Package {
    pub(crate) fn at(folder: &Path) -> Arc<Self> {
        Arc::new(Self { folder: folder.to_owned(), product: OnceLock::new() })
    }
}

/// What no two products share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// An item, made into a `T` so far.
#[derive(Debug)]
pub(crate) struct Item<T> {
    pub(crate) origin: Origin,
    pub(crate) it: T,
}

/// As it is found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file to be read.
    File,
    /// A line, read already.
    Bytes(Vec<u8>),
    /// What cargo made of a manifest.
    Product(Box<Product>),
    /// Something that could not be looked into.
    Broken(Reason),
}

/// As it is read.
#[derive(Debug)]
pub(crate) enum Read {
    /// To be parsed.
    Bytes(Vec<u8>),
    /// Parsed already.
    Product(Box<Product>),
}

/// As it is parsed.
#[derive(Debug)]
pub(crate) enum Parsed {
    Product(Box<Product>),
    Page(Page),
    /// Nothing to be written, for this reason.
    Nothing(&'static str),
}

/// As it is written.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A product.
    Product(Box<Product>),
    /// A page, and the product that it belongs to.
    Page(Arc<Identity>, Page),
}

/// The documentation in one source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Within its package.
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) text: String,
}

/// What is wrong with an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason(pub(crate) String);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An item that failed: where it comes from, and why. What it held is dropped: it would only be
/// memory.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) origin: Origin,
    pub(crate) reason: Reason,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, reason } = self;
        write!(f, "{origin}: {reason}")
    }
}

impl Error for Refused {}

impl<T> Item<T> {
    pub(crate) fn of(origin: Origin, it: T) -> Self {
        Self { origin, it }
    }

    /// Made into something else, or refused.
    pub(crate) fn try_map<U>(
        self,
        make: impl FnOnce(&Origin, T) -> Result<U, String>,
    ) -> Result<Item<U>, Refused> {
        match make(&self.origin, self.it) {
            Ok(it) => Ok(Item { origin: self.origin, it }),
            Err(reason) => Err(Refused { origin: self.origin, reason: Reason(reason) }),
        }
    }
}
