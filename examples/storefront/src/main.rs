//! `storefront`: see `--help`, or the README.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use storefront::{
    demo::{self, Ended, Source},
    gates::Limits,
    ingest::Workers,
    plan::Load,
    signal::Signal,
};
use tokio::runtime::Runtime;

/// A product search over real data, protected by Plimsoll, under open-loop load.
///
/// The products are the packages in this machine's cargo registry cache, or the lines of a file.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ingest, serve, send load with one greedy client among polite ones, first to the bare
    /// service and then behind Plimsoll, and print a table.
    ///
    /// Exit code 0: the greedy client was held to its rate, the others were untouched, nothing
    /// failed. 1: one of these is not so, or a step failed. 130: interrupted.
    Demo {
        #[command(flatten)]
        source: SourceArgs,
        #[command(flatten)]
        limits: LimitArgs,
        #[command(flatten)]
        load: LoadArgs,
        /// Folder for report.json.
        #[arg(long, value_name = "DIR", default_value = "target/demo")]
        report: PathBuf,
    },
    /// Ingest, then serve on a free port of 127.0.0.1 until Ctrl-C.
    Serve {
        #[command(flatten)]
        source: SourceArgs,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Only fill a database.
    Ingest {
        /// JSON lines, one product each, instead of this machine's packages.
        #[arg(long, value_name = "FILE")]
        catalogue: Option<PathBuf>,
        /// The SQLite file to fill; made if it is not there.
        #[arg(long, value_name = "PATH")]
        database: PathBuf,
        #[command(flatten)]
        workers: WorkerArgs,
    },
}

#[derive(Debug, Args)]
struct SourceArgs {
    /// JSON lines, one product each, instead of this machine's packages.
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// SQLite file to fill and keep [default: a temporary one].
    #[arg(long, value_name = "PATH")]
    database: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct WorkerArgs {
    /// How many threads read files.
    #[arg(long, value_name = "N", default_value_t = Workers::DEFAULT.read, value_parser = clap::value_parser!(u8).range(1..))]
    readers: u8,
    /// How many tasks parse them.
    #[arg(long, value_name = "N", default_value_t = Workers::DEFAULT.parse, value_parser = clap::value_parser!(u8).range(1..))]
    parsers: u8,
}

#[derive(Debug, Args)]
struct LimitArgs {
    /// Requests per second that each client may make; 0 lets the burst through once.
    #[arg(long, value_name = "N", default_value_t = 20)]
    rate: u32,
    /// Requests that each client may make at once after a rest; 0 refuses everything.
    #[arg(long, value_name = "N", default_value_t = 40)]
    burst: u32,
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// How long requests arrive, in seconds, at the bare service and again behind Plimsoll.
    #[arg(long, value_name = "N", default_value = "8", value_parser = demo::seconds)]
    seconds: Duration,
    /// Clients that stay under their rate: each sends half of it.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    polite: u16,
    /// How many times what the service answers the greedy client sends.
    #[arg(long, value_name = "TIMES", default_value_t = 2)]
    greedy: u16,
    /// The same seed draws the same polite clients.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl From<SourceArgs> for Source {
    fn from(args: SourceArgs) -> Self {
        Self { catalogue: args.catalogue, database: args.database, ..Self::default() }
    }
}

impl From<WorkerArgs> for Workers {
    fn from(args: WorkerArgs) -> Self {
        Self { read: args.readers, parse: args.parsers }
    }
}

impl From<LimitArgs> for Limits {
    fn from(args: LimitArgs) -> Self {
        Self { rate: args.rate, burst: args.burst }
    }
}

impl LoadArgs {
    fn load(&self, limits: Limits) -> Load {
        Load {
            duration: self.seconds,
            polite_clients: self.polite,
            polite_rate: f64::from(limits.rate) / 2.0,
            overload: f64::from(self.greedy),
            seed: self.seed,
        }
    }
}

fn main() -> ExitCode {
    let outcome = Runtime::new().map_err(Into::into).and_then(|runtime| {
        let outcome = runtime.block_on(run(Cli::parse().command));
        // An ingest that a signal left behind ends with the process.
        runtime.shutdown_background();
        outcome
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo { source, limits, load, report } => {
            let limits = limits.into();
            let load = load.load(limits);
            let source = Source { planted: Some(demo::planted()), ..source.into() };
            match demo::run(source, limits, load, &report, Signal::received()).await? {
                Ended::Whole(report) if report.holds() => Ok(ExitCode::SUCCESS),
                Ended::Whole(_) => {
                    eprintln!("demo: failed, see the lines that say FAIL");
                    Ok(ExitCode::FAILURE)
                }
                Ended::Stopped(signal) => {
                    println!("demo: {signal}; what had begun is finished, nothing is left behind");
                    Ok(signal.exit_code().into())
                }
            }
        }
        Command::Serve { source, limits } => {
            // A service that was asked to stop, and did, has not failed.
            demo::serve(source.into(), limits.into(), Signal::received()).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Ingest { catalogue, database, workers } => {
            let (database, workers) = (Some(database), workers.into());
            let source = Source { catalogue, database, workers, planted: None };
            match demo::ingest(source, Signal::received()).await? {
                Ok((_, ingested)) if ingested.verdict().holds => Ok(ExitCode::SUCCESS),
                Ok((_, ingested)) => {
                    eprintln!("ingest: failed: {}", ingested.verdict().says);
                    Ok(ExitCode::FAILURE)
                }
                Err(signal) => Ok(signal.exit_code().into()),
            }
        }
    }
}
