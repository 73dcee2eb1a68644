//! The source of the pipeline: every package's manifest, and behind it its source files.
//!
//! Folders are listed by a few threads at once, as a fan-out that keeps the order: ids are the same
//! from run to run, and the files of a package come behind its manifest. What is listed and not
//! yet taken is bounded by the window of the fan-out.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{Stream, StreamExt, stream};
use plimsoll::fanout::FanOutExt;
use tokio::task::spawn_blocking;

use super::{
    account::Account,
    item::{Found, Item, Kind, Origin, Package, Reason},
};
use crate::catalogue::{self, Product};

/// How many packages are listed at once.
const LISTERS: usize = 2;

/// A package whose files are still to be listed.
struct Lead {
    package: Arc<Package>,
    /// What cargo has made of its manifest, if it named it.
    named: Option<Box<Product>>,
    /// Whether its source files are wanted; not, if the folder has been met before.
    with_sources: bool,
}

impl Lead {
    fn at(folder: &Path) -> Self {
        Self { package: Package::at(folder), named: None, with_sources: true }
    }
}

/// Every `<registry>/*/*/Cargo.toml`, then what `cargo metadata` names, then every
/// `<folder>/*/Cargo.toml` of `folders`, each package with its source files.
pub(crate) fn packages(
    registry: Option<PathBuf>,
    metadata: bool,
    folders: Vec<PathBuf>,
    account: &Arc<Account>,
) -> impl Stream<Item = Item<Found>> + Send + 'static {
    let account = Arc::clone(account);
    // Cargo answers while the registry is walked.
    let metadata = metadata.then(|| {
        spawn_blocking(|| {
            let mut notes = Vec::new();
            (catalogue::named_by_cargo(&mut notes), notes)
        })
    });
    let leads = stream::once(async move {
        let from_folders = spawn_blocking(move || {
            let (mut leads, mut rest, mut notes) = (Vec::new(), Vec::new(), Vec::new());
            for index in registry.map(|folder| list(&folder, &mut notes)).unwrap_or_default() {
                leads.extend(list(&index, &mut notes).iter().map(|it| Lead::at(it)));
            }
            for folder in folders {
                rest.extend(list(&folder, &mut notes).iter().map(|it| Lead::at(it)));
            }
            (leads, rest, notes)
        });
        let (leads, rest, notes) = from_folders.await.unwrap_or_default();
        account.note(notes);
        let met: HashSet<_> = leads.iter().map(|lead| lead.package.folder.clone()).collect();
        let named = stream::once(async move {
            let Some(metadata) = metadata else { return Vec::new() };
            let (named, notes) = metadata.await.unwrap_or_default();
            account.note(notes);
            named.into_iter().map(|(manifest, product)| lead(&manifest, product, &met)).collect()
        });
        let lists = stream::iter([leads]).chain(named).chain(stream::iter([rest]));
        lists.flat_map(stream::iter)
    });
    let listed = leads.flatten().boxed().fan_out_blocking(LISTERS, files).ordered();
    listed.flat_map(|listed| {
        stream::iter(listed.unwrap_or_else(|failure| {
            // A panic; whose folder it was is in its message, on stderr.
            let origin =
                Origin { kind: Kind::Source, path: PathBuf::new(), line: None, package: None };
            vec![Item::of(origin, Found::Broken(Reason(failure.to_string())))]
        }))
    })
}

fn lead(manifest: &Path, product: Product, met: &HashSet<PathBuf>) -> Lead {
    let folder = manifest.parent().unwrap_or(manifest);
    let with_sources = !met.contains(folder);
    Lead { package: Package::at(folder), named: Some(Box::new(product)), with_sources }
}

/// Folders in `parent`, sorted. One that can't be listed is noted.
fn list(parent: &Path, notes: &mut Vec<String>) -> Vec<PathBuf> {
    let listed = fs::read_dir(parent).and_then(|entries| {
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    });
    listed.unwrap_or_else(|error| {
        notes.push(format!("could not list {}: {error}", parent.display()));
        Vec::new()
    })
}

/// The manifest of a package, and its source files. Blocks.
fn files(lead: Lead) -> Vec<Item<Found>> {
    let Lead { package, named, with_sources } = lead;
    let manifest = package.folder.join("Cargo.toml");
    let origin =
        |kind, path| Origin { kind, path, line: None, package: Some(Arc::clone(&package)) };
    let mut found = Vec::new();
    match named {
        Some(product) => {
            found.push(Item::of(origin(Kind::Manifest, manifest), Found::Product(product)));
        }
        None if manifest.exists() => {
            found.push(Item::of(origin(Kind::Manifest, manifest), Found::File));
        }
        // A folder without a manifest is no package (cargo keeps a few of its own).
        None => return found,
    }
    if with_sources {
        let mut sources = Vec::new();
        walk(&package.folder, &mut |path, found| {
            sources.push(Item::of(origin(Kind::Source, path), found));
        });
        found.append(&mut sources);
    }
    found
}

/// Every `.rs` file below `folder`, sorted, but for hidden folders, `target`, and packages inside
/// it. Links are not followed: they may lead round in a circle.
fn walk(folder: &Path, put: &mut impl FnMut(PathBuf, Found)) {
    let entries = fs::read_dir(folder).and_then(|entries| {
        let mut entries: Vec<_> = entries.collect::<io::Result<_>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        Ok(entries)
    });
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            return put(folder.to_owned(), Found::Broken(Reason(error.to_string())));
        }
    };
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            let hidden = name.as_encoded_bytes().starts_with(b".");
            if !hidden && name != "target" && !path.join("Cargo.toml").exists() {
                walk(&path, put);
            }
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            put(path, Found::File);
        }
    }
}
