//! Access logs through a pipeline: files are read side by side, lines parsed,
//! broken ones kept aside, and the failures of each service counted.
//!
//! Run it with `cargo run -p plimsoll-pipeline --example log_files`.

use plimsoll_pipeline::{CancellationToken, DeadLetter, Pipeline, dead_letter};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    env, fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

#[derive(Debug)]
struct Entry {
    service: String,
    status: u16,
}

#[derive(Debug)]
struct Broken(&'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Broken {}

/// `checkout GET /item/7 200`
#[expect(clippy::needless_pass_by_value, reason = "a stage is given its items")]
fn parse(line: String) -> Result<Entry, Broken> {
    let mut words = line.split(' ');
    let service = words.next().filter(|word| !word.is_empty()).ok_or(Broken("no service"))?;
    let status = words.nth(2).ok_or(Broken("no status"))?;
    let status = status.parse().map_err(|_| Broken("the status is no number"))?;
    Ok(Entry { service: service.to_owned(), status })
}

/// Some logs to read, with a torn line in each.
fn write_logs(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let write = |host: usize| {
        let line = |n: usize| match n % 1_000 {
            999 => "checkout GET /ite".to_owned(),
            n if n % 40 == 0 => format!("checkout GET /item/{n} 503"),
            n => format!("search GET /item/{n} 200"),
        };
        let path = folder.join(format!("host{host}.log"));
        fs::write(&path, (0..20_000).map(line).collect::<Vec<_>>().join("\n"))?;
        Ok(path)
    };
    (0..8).map(write).collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = env::temp_dir().join(format!("plimsoll-log-files-{}", std::process::id()));
    let paths = write_logs(&folder)?;

    let torn = Arc::new(Mutex::new(BTreeMap::new()));
    let failed = Arc::new(Mutex::new(BTreeMap::new()));
    let (keep, count) = (Arc::clone(&torn), Arc::clone(&failed));
    let keep = move |letter: DeadLetter<String, Broken>| {
        *keep.lock().unwrap_or_else(|e| e.into_inner()).entry(letter.error.0).or_insert(0) += 1;
        async { Ok::<_, Infallible>(()) }
    };

    let report = Pipeline::from_iter(paths)
        .blocking("read", fs::read_to_string)
        .flat_map("lines", |text| {
            Ok::<_, Infallible>(text.lines().map(str::to_owned).collect::<Vec<_>>())
        })
        .stage_sync("parse", parse)
        .on_error(dead_letter(keep))
        .filter_map("failed", |entry: Entry| {
            Ok::<_, Infallible>((entry.status >= 500).then_some(entry))
        })
        .fuse()
        .batched(100, Duration::from_millis(10))
        .sink_sync("count", move |entries: Vec<Entry>| {
            let mut count = count.lock().unwrap_or_else(|e| e.into_inner());
            for entry in entries {
                *count.entry(entry.service).or_insert(0) += 1;
            }
            Ok::<_, Infallible>(())
        })
        .run(CancellationToken::new())
        .await?;

    println!("{report}\n");
    println!("failed requests: {:?}", failed.lock().unwrap_or_else(|e| e.into_inner()));
    println!("torn lines: {:?}", torn.lock().unwrap_or_else(|e| e.into_inner()));
    fs::remove_dir_all(&folder)?;
    Ok(())
}
