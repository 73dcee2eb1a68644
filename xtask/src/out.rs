//! Where the output of a command goes: the terminal, or the log of a step.

use crate::{Result, workspace};
use std::{
    fmt::Display,
    fs::File,
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
};
use xshell::{Cmd, Shell};

/// Runs commands in the workspace's root and keeps what they print together.
pub(crate) struct Out {
    /// For the `cmd!` macro.
    pub(crate) sh: Shell,
    log: Option<File>,
}

impl Out {
    /// Prints to the terminal.
    pub(crate) fn terminal() -> Result<Self> {
        let sh = Shell::new()?;
        sh.change_dir(workspace::root());
        Ok(Self { sh, log: None })
    }

    /// Prints to a new file.
    pub(crate) fn log(path: &Path) -> Result<Self> {
        Ok(Self { log: Some(File::create(path)?), ..Self::terminal()? })
    }

    /// Prints a line.
    pub(crate) fn say(&self, line: impl Display) -> Result {
        match &self.log {
            Some(log) => writeln!(&mut &*log, "{line}")?,
            None => writeln!(std::io::stdout(), "{line}")?,
        }
        Ok(())
    }

    /// Runs a command. The command comes first in the output, so that one that
    /// failed can be pasted into a shell.
    pub(crate) fn run(&self, cmd: Cmd<'_>) -> Result {
        let (line, mut command) = self.begin(cmd)?;
        command.stdout(self.stdio()?);
        let status = command.status().map_err(|e| format!("could not start `{line}`: {e}"))?;
        if status.success() { Ok(()) } else { Err(format!("`{line}`: {status}").into()) }
    }

    /// Runs a command and returns its standard output, which is not printed.
    pub(crate) fn capture(&self, cmd: Cmd<'_>) -> Result<Vec<u8>> {
        let (line, mut command) = self.begin(cmd)?;
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("could not start `{line}`: {e}"))?;
        let mut captured = Vec::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_end(&mut captured)?;
        }
        let status = child.wait()?;
        if status.success() { Ok(captured) } else { Err(format!("`{line}`: {status}").into()) }
    }

    /// A handle for a child's standard output or standard error.
    pub(crate) fn stdio(&self) -> Result<Stdio> {
        Ok(match &self.log {
            Some(log) => log.try_clone()?.into(),
            None => Stdio::inherit(),
        })
    }

    fn begin(&self, cmd: Cmd<'_>) -> Result<(String, Command)> {
        let line = cmd.to_string();
        self.say(format_args!("$ {line}"))?;
        let mut command = Command::from(cmd);
        command.stdin(Stdio::null()).stderr(self.stdio()?);
        Ok((line, command))
    }
}
