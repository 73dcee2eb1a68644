//! `cargo xtask demo`: the storefront, built for speed.

use crate::{Result, workspace};
use std::process::Command;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Passed on to `storefront demo` (try `-- --help`)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

pub(crate) fn run(Args { args }: Args) -> Result {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--release", "-p", "storefront", "--", "demo"]).args(args);
    become_(cargo)
}

/// Goes on as `command`, in the folder of the workspace. On Unix the process is
/// replaced, and cargo does the same, so that Ctrl-C and any other signal reach
/// the program, and its exit status is ours.
pub(crate) fn become_(mut command: Command) -> Result {
    command.current_dir(workspace::root());
    #[cfg(unix)]
    {
        let error = std::os::unix::process::CommandExt::exec(&mut command);
        Err(format!("could not start {command:?}: {error}").into())
    }
    #[cfg(not(unix))]
    {
        let status = command.status()?;
        std::process::exit(status.code().unwrap_or(1));
    }
}
