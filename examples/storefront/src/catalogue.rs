//! What is sold, and how it is written down: in a `Cargo.toml`, as a line of JSON, or in what cargo
//! says of its packages.
//!
//! Nothing here is trusted to be whole: what can't be parsed is an error with the first thing that
//! is wrong, as text for whoever wrote it.

use std::{
    collections::BTreeMap,
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Context;
use serde::{Deserialize, Serialize, de::IgnoredAny};

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

impl Product {
    /// What the text of a `Cargo.toml` says; `None` if it is that of a workspace without a package.
    ///
    /// # Errors
    ///
    /// With the first thing that is wrong.
    pub fn from_manifest(text: &str) -> Result<Option<Self>, String> {
        let manifest: Manifest =
            toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let Manifest { package, workspace, dependencies, target } = manifest;
        let Some(package) = package else {
            return match workspace {
                Some(_) => Ok(None),
                None => Err("missing field `package`".into()),
            };
        };
        let for_targets = target.into_values().flat_map(|table| table.dependencies.into_keys());
        let needed = dependencies.into_keys().chain(for_targets);
        Ok(Some(package.with_dependencies(needed)))
    }

    /// What a line of JSON says.
    ///
    /// # Errors
    ///
    /// With the first thing that is wrong.
    pub fn from_line(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| error.to_string())
    }
}

/// Where cargo keeps the source of the packages that it has unpacked.
///
/// # Errors
///
/// When there is no home to look in.
pub fn registry() -> anyhow::Result<PathBuf> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => {
            let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).context(
                "found neither CARGO_HOME nor a home directory; give a file of JSON lines: \
                 --catalogue FILE",
            )?;
            PathBuf::from(home).join(".cargo")
        }
    };
    Ok(home.join("registry").join("src"))
}

/// What `cargo metadata` names, each with its manifest: without touching the network or the lock
/// file. Where that fails (a dependency that was never fetched is enough), the workspace alone,
/// noted in `notes`. Blocks.
pub fn named_by_cargo(notes: &mut Vec<String>) -> Vec<(PathBuf, Product)> {
    let whole = metadata(&["--offline", "--locked"]).or_else(|error| {
        notes.push(format!("cargo metadata names only the workspace here: {error}"));
        metadata(&["--offline", "--no-deps"])
    });
    match whole {
        Ok(Metadata { packages }) => packages.into_iter().map(MetadataPackage::named).collect(),
        Err(error) => {
            notes.push(format!("went on without cargo metadata: {error}"));
            Vec::new()
        }
    }
}

/// The part of a `Cargo.toml` that a shop window needs.
#[derive(Deserialize)]
struct Manifest {
    package: Option<PackageTable>,
    workspace: Option<IgnoredAny>,
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

impl PackageTable {
    fn with_dependencies(self, names: impl Iterator<Item = String>) -> Product {
        let mut dependencies: Vec<_> = names.collect();
        dependencies.sort();
        dependencies.dedup();
        Product {
            name: self.name,
            version: self.version,
            description: self.description,
            keywords: self.keywords,
            categories: self.categories,
            licence: self.license,
            dependencies,
            repository: self.repository,
        }
    }
}

/// The part of cargo's answer that is used. Cargo has resolved what a workspace shares.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    manifest_path: PathBuf,
    #[serde(flatten)]
    package: PackageTable,
    dependencies: Vec<MetadataDependency>,
}

#[derive(Deserialize)]
struct MetadataDependency {
    name: String,
    kind: Option<IgnoredAny>,
}

impl MetadataPackage {
    fn named(self) -> (PathBuf, Product) {
        let Self { manifest_path, package, dependencies } = self;
        // A kind says "dev" or "build"; none is a dependency of the code itself.
        let needed = dependencies.into_iter().filter(|it| it.kind.is_none()).map(|it| it.name);
        (manifest_path, package.with_dependencies(needed))
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
