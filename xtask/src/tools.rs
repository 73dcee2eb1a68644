//! Programs that `ci` needs beside cargo.

use crate::{Result, out::Out};
use xshell::cmd;

/// Makes sure that a program runs: `probe` is a command that works if it does.
/// If it is missing, installs `package`, and if that fails says what to do.
pub(crate) fn need(out: &Out, probe: &[&str], package: &str) -> Result {
    let [program, args @ ..] = probe else { return Err("an empty probe".into()) };
    let sh = &out.sh;
    if cmd!(sh, "{program} {args...}").quiet().ignore_stderr().read().is_ok() {
        return Ok(());
    }
    out.say(format_args!("`{}` does not work here: installing {package}", probe.join(" ")))?;
    out.run(cmd!(sh, "cargo install --locked {package}")).map_err(|error| {
        format!("{error}\n{package} is needed: cargo install --locked {package}").into()
    })
}

/// Makes sure that a toolchain is installed. It is not installed from here:
/// toolchains are the user's to choose.
pub(crate) fn need_toolchain(out: &Out, name: &str) -> Result {
    let installed =
        cmd!(out.sh, "rustup run {name} rustc --version").quiet().ignore_stderr().read();
    match installed {
        Ok(version) => out.say(version),
        Err(_) => Err(format!("toolchain needed: rustup toolchain install {name}").into()),
    }
}
