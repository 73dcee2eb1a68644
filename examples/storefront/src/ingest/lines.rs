//! The other source: a file of JSON lines.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;
use futures::Stream;
use plimsoll::channel;
use tokio::task::spawn_blocking;

use super::{
    MAX_BYTES,
    item::{Found, Item, Kind, Origin, Reason},
};

/// How many lines are read ahead.
const AHEAD: usize = 16;

/// Every line of a file that is not blank, read on a thread of its own.
///
/// # Errors
///
/// When the file can't be opened. One that can't be read to its end has a broken line.
pub(crate) fn lines(
    path: &Path,
) -> anyhow::Result<impl Stream<Item = Item<Found>> + Send + 'static> {
    let file = File::open(path)
        .with_context(|| format!("could not read the catalogue {}", path.display()))?;
    let lines = Lines { path: path.to_owned(), file: Some(BufReader::new(file)), number: 0 };
    let (tx, rx) = channel::bounded(AHEAD);
    spawn_blocking(move || {
        for line in lines {
            // Nobody wants any more.
            if tx.blocking_send(line).is_err() {
                break;
            }
        }
    });
    Ok(rx)
}

struct Lines {
    path: PathBuf,
    file: Option<BufReader<File>>,
    number: u64,
}

impl Lines {
    /// The next line, or `None` at the end.
    fn read(&mut self) -> io::Result<Option<Result<Vec<u8>, Reason>>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        let mut line = Vec::new();
        // One byte more than allowed, so that a line of exactly the limit is told apart.
        if file.take(MAX_BYTES + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.len() as u64 <= MAX_BYTES {
            return Ok(Some(Ok(line)));
        }
        if !line.ends_with(b"\n") {
            file.skip_until(b'\n')?;
        }
        Ok(Some(Err(Reason(format!("the line is longer than {MAX_BYTES} bytes")))))
    }
}

impl Iterator for Lines {
    type Item = Item<Found>;

    fn next(&mut self) -> Option<Item<Found>> {
        loop {
            self.number += 1;
            let found = match self.read().transpose()? {
                Ok(Ok(line)) if line.trim_ascii().is_empty() => continue,
                Ok(Ok(line)) => Found::Bytes(line),
                Ok(Err(reason)) => Found::Broken(reason),
                Err(error) => {
                    self.file = None;
                    Found::Broken(Reason(error.to_string()))
                }
            };
            let (path, line) = (self.path.clone(), Some(self.number));
            return Some(Item::of(Origin { kind: Kind::Line, path, line, package: None }, found));
        }
    }
}
