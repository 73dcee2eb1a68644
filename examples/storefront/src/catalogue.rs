//! Where the products come from.
//!
//! The default source is the machine itself: whoever built this workspace has a few hundred
//! packages in cargo's registry cache, each with a manifest, a description, keywords and
//! dependencies. Real words with real frequencies, and nothing to download. A file of JSON lines
//! can take their place.
//!
//! A source is never trusted to be whole: what can't be read is named with its reason and left
//! out, and the rest goes on.

use std::{
    collections::{BTreeMap, HashSet},
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize, de::IgnoredAny};

/// No manifest and no catalogue line is larger than this; what is larger is not read at all.
const MAX_BYTES: u64 = 1 << 20;

/// What is sold: one version of one package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The name, never empty.
    pub name: String,
    /// The version, never empty. Name and version together are unique.
    pub version: String,
    /// One sentence or a few.
    #[serde(default)]
    pub description: Option<String>,
    /// Search words that its author chose.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Shelves that it stands on.
    #[serde(default)]
    pub categories: Vec<String>,
    /// The licence expression, such as `MIT OR Apache-2.0`.
    #[serde(default, alias = "license")]
    pub licence: Option<String>,
    /// Names of what it needs, sorted.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Where its source lives.
    #[serde(default)]
    pub repository: Option<String>,
}

/// What could not be used, where it stands, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// A path, with a line number where there are lines.
    pub place: String,
    /// The first thing that was wrong.
    pub reason: String,
}

/// Everything that a source yielded.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// In the order found, each name and version once.
    pub products: Vec<Product>,
    /// What could not be used.
    pub rejects: Vec<Reject>,
    /// How many were met again under the same name and version.
    pub duplicates: usize,
    /// What a reader should know about the sources as a whole.
    pub notes: Vec<String>,
    seen: HashSet<(String, String)>,
}

impl Catalogue {
    /// Reads JSON lines: one product per line, `name` and `version` required.
    ///
    /// # Errors
    ///
    /// When the file can't be opened or read. A bad line is a [`Reject`], not an error.
    pub fn from_json_lines(path: &Path) -> anyhow::Result<Self> {
        let could_not = || format!("could not read the catalogue {}", path.display());
        let mut lines = BufReader::new(File::open(path).with_context(could_not)?);
        let mut catalogue = Self::default();
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            // One byte more than allowed, so that a line of exactly the limit is told apart.
            let read = (&mut lines).take(MAX_BYTES + 1).read_until(b'\n', &mut line);
            if read.with_context(could_not)? == 0 {
                break;
            }
            let place = || format!("{}:{number}", path.display());
            if line.len() as u64 > MAX_BYTES {
                if !line.ends_with(b"\n") {
                    lines.skip_until(b'\n').with_context(could_not)?;
                }
                catalogue.reject(place(), format!("the line is longer than {MAX_BYTES} bytes"));
            } else if !line.trim_ascii().is_empty() {
                let parsed = serde_json::from_slice(&line).map_err(|error| error.to_string());
                catalogue.add(place, parsed);
            }
        }
        Ok(catalogue)
    }

    /// Reads what cargo has on this machine: every manifest under `registry` (as laid out in
    /// `$CARGO_HOME/registry/src`), then the packages that `cargo metadata` names.
    #[must_use]
    pub fn from_cargo(registry: &Path) -> Self {
        let mut catalogue = Self::default();
        catalogue.add_registry(registry);
        catalogue.add_metadata();
        catalogue
    }

    /// Adds every `<registry>/*/*/Cargo.toml`. A folder that is not there is noted.
    pub fn add_registry(&mut self, registry: &Path) {
        let indexes = match folders(registry) {
            Ok(indexes) => indexes,
            Err(error) => {
                return self.notes.push(format!("could not list {}: {error}", registry.display()));
            }
        };
        for index in indexes {
            match folders(&index) {
                Ok(packages) => packages.iter().for_each(|package| self.add_manifest(package)),
                Err(error) => self.reject(index.display().to_string(), error.to_string()),
            }
        }
    }

    fn add_manifest(&mut self, package: &Path) {
        let path = package.join("Cargo.toml");
        // A folder without a manifest is no package (cargo keeps a few of its own).
        if path.exists() {
            self.add(|| path.display().to_string(), read_manifest(&path));
        }
    }

    /// Adds what `cargo metadata` names, without touching the network or the lock file. Where
    /// that fails (a dependency that was never fetched is enough), the workspace alone, noted.
    fn add_metadata(&mut self) {
        let whole = metadata(&["--offline", "--locked"]).or_else(|error| {
            self.notes.push(format!("cargo metadata names only the workspace here: {error}"));
            metadata(&["--offline", "--no-deps"])
        });
        match whole {
            Ok(metadata) => {
                for package in metadata.packages {
                    let place = package.manifest_path.clone();
                    self.add(|| place, Ok(package.into()));
                }
            }
            Err(error) => self.notes.push(format!("went on without cargo metadata: {error}")),
        }
    }

    fn add(&mut self, place: impl FnOnce() -> String, parsed: Result<Product, String>) {
        match parsed {
            Err(reason) => self.reject(place(), reason),
            Ok(product) if product.name.trim().is_empty() => {
                self.reject(place(), "name must not be empty".into());
            }
            Ok(product) if product.version.trim().is_empty() => {
                self.reject(place(), "version must not be empty".into());
            }
            Ok(product) => {
                if self.seen.insert((product.name.clone(), product.version.clone())) {
                    self.products.push(product);
                } else {
                    self.duplicates += 1;
                }
            }
        }
    }

    fn reject(&mut self, place: String, reason: String) {
        self.rejects.push(Reject { place, reason });
    }
}

/// Reads the catalogue that the user asked for, or the machine's own.
///
/// # Errors
///
/// When the file can't be read, or no source yields a product.
pub fn load(file: Option<&Path>) -> anyhow::Result<Catalogue> {
    let (catalogue, source) = match file {
        Some(path) => (Catalogue::from_json_lines(path)?, path.display().to_string()),
        None => {
            let registry = cargo_home()?.join("registry").join("src");
            (Catalogue::from_cargo(&registry), registry.display().to_string())
        }
    };
    if catalogue.products.is_empty() {
        bail!(
            "found no product in {source} ({} broken){}\n\
             Give a file of JSON lines instead: --catalogue FILE, one product per line, such as\n\
             {{\"name\": \"lamp\", \"version\": \"1.0.0\", \"description\": \"A desk lamp\", \
             \"keywords\": [\"light\"]}}",
            catalogue.rejects.len(),
            catalogue.notes.iter().map(|note| format!("\n  {note}")).collect::<String>(),
        );
    }
    Ok(catalogue)
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).context(
        "found neither CARGO_HOME nor a home directory; give a file of JSON lines: --catalogue FILE",
    )?;
    Ok(PathBuf::from(home).join(".cargo"))
}

/// Folders in `parent`, sorted, so that ids are the same from run to run.
fn folders(parent: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The part of a `Cargo.toml` that a shop window needs.
#[derive(Deserialize)]
struct Manifest {
    package: PackageTable,
    #[serde(default)]
    dependencies: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    target: BTreeMap<String, TargetTable>,
}

#[derive(Deserialize)]
struct PackageTable {
    name: String,
    version: String,
    description: Option<String>,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    license: Option<String>,
    repository: Option<String>,
}

#[derive(Deserialize)]
struct TargetTable {
    #[serde(default)]
    dependencies: BTreeMap<String, IgnoredAny>,
}

fn read_manifest(path: &Path) -> Result<Product, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("the file is larger than {MAX_BYTES} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
    let Manifest { package, dependencies, target } =
        toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let for_targets = target.into_values().flat_map(|table| table.dependencies.into_keys());
    Ok(Product {
        name: package.name,
        version: package.version,
        description: package.description,
        keywords: package.keywords,
        categories: package.categories,
        licence: package.license,
        dependencies: sorted(dependencies.into_keys().chain(for_targets)),
        repository: package.repository,
    })
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names.dedup();
    names
}

/// The part of cargo's answer that is used. Cargo has resolved what a workspace shares.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    manifest_path: String,
    #[serde(flatten)]
    package: PackageTable,
    dependencies: Vec<MetadataDependency>,
}

#[derive(Deserialize)]
struct MetadataDependency {
    name: String,
    kind: Option<IgnoredAny>,
}

impl From<MetadataPackage> for Product {
    fn from(MetadataPackage { package, dependencies, .. }: MetadataPackage) -> Self {
        // A kind says "dev" or "build"; none is a dependency of the code itself.
        let needed = dependencies.into_iter().filter(|it| it.kind.is_none()).map(|it| it.name);
        Product {
            name: package.name,
            version: package.version,
            description: package.description,
            keywords: package.keywords,
            categories: package.categories,
            licence: package.license,
            dependencies: sorted(needed),
            repository: package.repository,
        }
    }
}

fn metadata(flags: &[&str]) -> Result<Metadata, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1"])
        .args(flags)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("could not run cargo: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first =
            said.lines().find(|line| line.starts_with("error")).unwrap_or("no reason given");
        return Err(first.to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("unexpected answer: {error}"))
}
