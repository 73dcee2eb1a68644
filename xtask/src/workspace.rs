//! The workspace as cargo sees it.

use crate::Result;
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The root of the workspace: the folder above this package.
pub(crate) fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map_or_else(|| here.clone(), Path::to_path_buf)
}

/// The packages of this workspace, without what they depend on. Fast.
pub(crate) fn members() -> Result<Metadata> {
    Ok(MetadataCommand::new().current_dir(root()).no_deps().exec()?)
}

/// The whole graph, with every feature on.
pub(crate) fn graph() -> Result<Metadata> {
    let all = cargo_metadata::CargoOpt::AllFeatures;
    Ok(MetadataCommand::new().current_dir(root()).features(all).exec()?)
}

/// The library crates: the packages under `crates/`, sorted by name.
pub(crate) fn crates(metadata: &Metadata) -> Vec<&Package> {
    let folder = metadata.workspace_root.join("crates");
    let mut found: Vec<_> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package.manifest_path.starts_with(&folder))
        .collect();
    found.sort_by_key(|package| package.name.to_string());
    found
}

/// The folder a package lives in.
pub(crate) fn folder(package: &Package) -> &Path {
    let manifest = package.manifest_path.as_std_path();
    manifest.parent().unwrap_or(manifest)
}

/// The folder for logs, created if it is not there.
pub(crate) fn logs(metadata: &Metadata) -> Result<PathBuf> {
    let logs = metadata.target_directory.join("xtask").into_std_path_buf();
    fs::create_dir_all(&logs)?;
    Ok(logs)
}

/// Whether a package has loom models: files called models.rs, anywhere under
/// src, beside what they check.
pub(crate) fn has_models(folder: &Path) -> bool {
    fn holds(folder: &Path) -> bool {
        let Ok(entries) = fs::read_dir(folder) else { return false };
        entries
            .flatten()
            .map(|entry| entry.path())
            .any(|path| path.file_name().is_some_and(|name| name == "models.rs") || holds(&path))
    }
    holds(&folder.join("src"))
}
