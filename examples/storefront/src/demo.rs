//! All of it in a row: ingest, serve, load, table, clean end.

use std::{
    fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    pin::{Pin, pin},
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use plimsoll::pipeline::CancellationToken;

use crate::{
    capacity,
    database::Database,
    gates::Limits,
    http::{Server, router},
    ingest::{self, Ingest, Sources, Workers},
    load,
    orders::{
        Orders,
        rush::{self, Rush, rush},
    },
    plan::{Load, Plan},
    report::{Ordered, Report},
    signal::Signal,
    store::Store,
    targets::Targets,
};

/// How many reads run at once. Few on any machine, so that a load that is too much for them can
/// be had from a generator beside them.
const CONNECTIONS: u16 = 2;

/// How many reads may wait for a connection before one is refused.
const READS_IN_LINE: u16 = 64;

/// Where the products come from and where they go.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// JSON lines; the machine's own packages if none.
    pub catalogue: Option<PathBuf>,
    /// A file that stays; a temporary one if none.
    pub database: Option<PathBuf>,
    /// How many items the stages of the ingest work on at once.
    pub workers: Workers,
    /// Packages beside them, to see what becomes of broken ones.
    pub planted: Option<PathBuf>,
}

/// The broken packages that the demo adds to its sources.
#[must_use]
pub fn planted() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue").join("broken")
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// It came to its end, with this report.
    Whole(Box<Report>),
    /// It was told to stop first.
    Stopped(Signal),
}

/// The one recorder of this process, installed by the first call. Gates are built after it, or
/// what they count goes nowhere.
///
/// # Errors
///
/// When another recorder is installed already.
pub fn recorder() -> anyhow::Result<PrometheusHandle> {
    static RECORDER: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    let installed = RECORDER
        .get_or_init(|| PrometheusBuilder::new().install_recorder().map_err(|e| e.to_string()));
    installed.clone().map_err(|error| anyhow::anyhow!("could not install the metrics: {error}"))
}

/// Reads the sources into the database and says what became of them. When `stop` says so first, what
/// was found by then is written, and the signal returned.
///
/// # Errors
///
/// When there is no product, or the database can't be written.
pub async fn ingest(
    source: Source,
    stop: impl Future<Output = io::Result<Signal>>,
) -> anyhow::Result<Result<(Database, Ingest), Signal>> {
    let Source { catalogue, database, workers, planted } = source;
    // First what fails fast: reading a catalogue for nothing helps nobody.
    let database = match &database {
        Some(path) => Database::at(path)?,
        None => Database::temporary()?,
    };
    let started = Instant::now();
    let sources = match &catalogue {
        Some(file) => Sources::lines(file),
        None => Sources::cargo()?,
    };
    let sources = planted.into_iter().fold(sources, Sources::also);
    let token = CancellationToken::new();
    let (ingested, signal) = {
        let ingest = ingest::ingest(&database, sources, workers, token.clone(), bar());
        let mut ingest = pin!(ingest);
        tokio::select! {
            ingested = &mut ingest => (ingested?, None),
            signal = stop => {
                let signal = signal?;
                println!("ingest: {signal}, writing what was found");
                token.cancel();
                (ingest.await?, Some(signal))
            }
        }
    };
    println!(
        "ingest: {ingested}\ningest: {} products and {} pages in {} ({}) after {:.2} s",
        ingested.held.products,
        ingested.held.pages,
        database.path().display(),
        if database.is_temporary() { "temporary" } else { "kept" },
        started.elapsed().as_secs_f64()
    );
    Ok(signal.map_or(Ok((database, ingested)), Err))
}

/// Shows how far the ingest has come, where somebody looks.
fn bar() -> Option<ProgressBar> {
    let style = ProgressStyle::with_template("{spinner} {pos} files in {elapsed}; {msg}").ok()?;
    io::stderr().is_terminal().then(|| ProgressBar::new_spinner().with_style(style))
}

/// Opens the database for the service.
fn open(database: Database) -> anyhow::Result<Store> {
    Store::open(database, CONNECTIONS, READS_IN_LINE)
}

/// A service that listens, and where its orders go.
struct Service {
    server: Server,
    orders: Orders,
}

impl Service {
    /// Starts the service: behind its gates and with its orders written together,
    /// or bare where there are no limits.
    ///
    /// # Errors
    ///
    /// When a limit makes no sense, or nothing can listen.
    async fn start(store: &Store, limits: Option<Limits>) -> anyhow::Result<Self> {
        let metrics = recorder()?;
        let (orders, how) = match limits {
            Some(_) => (Orders::together(store)?, "behind Plimsoll"),
            None => (Orders::one_by_one(store)?, "bare"),
        };
        let app = router(store.clone(), orders.clone(), metrics, limits)?;
        let server = Server::start(app).await?;
        println!("serve: http://{}, {how}", server.address());
        Ok(Self { server, orders })
    }

    /// Finishes every request that has begun, and then writes every order that
    /// was accepted: also those whose clients have gone.
    ///
    /// # Errors
    ///
    /// When either is not to be had.
    async fn stop(self) -> anyhow::Result<()> {
        let stopped = self.server.stop().await;
        let written = self.orders.close().await;
        stopped.and(written)
    }
}

/// Serves until `stop` says so, then drains.
///
/// # Errors
///
/// When the service can't be started or is not done in time.
pub async fn serve(
    source: Source,
    limits: Limits,
    stop: impl Future<Output = io::Result<Signal>>,
) -> anyhow::Result<Signal> {
    let mut stop = pin!(stop);
    let (database, _) = match ingest(source, stop.as_mut()).await? {
        Ok(ingested) => ingested,
        Err(signal) => return Ok(signal),
    };
    let store = open(database)?;
    let service = Service::start(&store, Some(limits)).await?;
    let address = service.server.address();
    println!("  try: curl 'http://{address}/search?q=json&limit=3'");
    println!("       curl 'http://{address}/orders' -d '{{\"product\": 1, \"quantity\": 2}}'");
    println!("  Ctrl-C ends it");
    let signal = stop.await?;
    println!("serve: {signal}, finishing what has begun");
    let stopped = service.stop().await;
    store.close().await;
    stopped.map(|()| signal)
}

/// Ingests, serves, loads and judges; stops early, and as cleanly, when `stop` says so.
///
/// # Errors
///
/// When a step fails. A verdict that does not hold is a report, not an error.
pub async fn run(
    source: Source,
    limits: Limits,
    load: Load,
    report_to: &Path,
    stop: impl Future<Output = io::Result<Signal>>,
) -> anyhow::Result<Ended> {
    // What can go wrong at the end, or is wrong already, is found out first.
    load.check()?;
    fs::create_dir_all(report_to)
        .with_context(|| format!("could not make the folder {}", report_to.display()))?;
    let mut stop = pin!(stop);
    let (database, ingested) = match ingest(source, stop.as_mut()).await? {
        Ok(ingested) => ingested,
        Err(signal) => return Ok(Ended::Stopped(signal)),
    };
    let store = open(database)?;
    let compared = compare(&store, &ingested, limits, &load, stop).await;
    store.close().await;
    let report = match compared? {
        Ok(report) => report,
        Err(signal) => return Ok(Ended::Stopped(signal)),
    };
    println!("\n{report}");
    let path = report.write(report_to)?;
    println!("report: {}", path.display());
    Ok(Ended::Whole(Box::new(report)))
}

/// The same load twice, on the bare service and behind Plimsoll, or a signal.
async fn compare(
    store: &Store,
    ingested: &Ingest,
    limits: Limits,
    load: &Load,
    mut stop: Pin<&mut impl Future<Output = io::Result<Signal>>>,
) -> anyhow::Result<Result<Report, Signal>> {
    let read = store.ids_and_words().await;
    let (ids, words) = read.map_err(|error| anyhow::anyhow!("could not read words: {error:?}"))?;
    let targets = Targets::new(&words, &ids).context("the products have no words to search for")?;

    let service = Service::start(store, None).await?;
    let address = service.server.address();
    let work = async {
        let capacity = capacity::measure(address, targets.clone()).await?;
        println!("capacity: {capacity:.0} broad searches per second, on this machine and now");
        let plan = load.plan(capacity);
        say_load(&plan, limits);
        let bare = load::run(plan.clone(), address, targets.clone()).await?;
        say_orders();
        anyhow::Ok((capacity, plan, bare, rush(address, ids.clone()).await?))
    };
    let (capacity, plan, bare, alone) = match during(service, work, stop.as_mut()).await? {
        Ok(done) => done,
        Err(signal) => return Ok(Err(signal)),
    };
    let alone = ordered("bare", store, &alone).await?;

    let service = Service::start(store, Some(limits)).await?;
    let address = service.server.address();
    let work = async {
        let gated = load::run(plan.clone(), address, targets).await?;
        anyhow::Ok((gated, rush(address, ids.clone()).await?))
    };
    let (gated, together) = match during(service, work, stop).await? {
        Ok(done) => done,
        Err(signal) => return Ok(Err(signal)),
    };
    let orders = [alone, ordered("plimsoll", store, &together).await?];
    let report = Report::new(ingested, capacity, limits, plan.duration, &bare, &gated, orders);
    Ok(Ok(report))
}

/// What a rush came to, once its service has stopped: the database is asked for
/// every number that a client was told.
async fn ordered(run: &'static str, store: &Store, rush: &Rush) -> anyhow::Result<Ordered> {
    let found = store.orders_among(rush.ids.clone()).await;
    let found = found.map_err(|error| anyhow::anyhow!("could not count the orders: {error:?}"))?;
    Ok(Ordered::new(run, rush, found))
}

/// Does `work` while `service` runs, or hears a signal; either way the service finishes what it has
/// begun.
async fn during<T>(
    service: Service,
    work: impl Future<Output = anyhow::Result<T>>,
    stop: Pin<&mut impl Future<Output = io::Result<Signal>>>,
) -> anyhow::Result<Result<T, Signal>> {
    let done = tokio::select! {
        done = work => done.map(Ok),
        signal = stop => signal.map(Err).map_err(Into::into),
    };
    let stopped = service.stop().await;
    let done = done?;
    stopped.map(|()| done)
}

fn say_orders() {
    println!(
        "orders: {} clients, each with one order at a time, for {:?} on each; bare each order is \
         a commit, behind Plimsoll they share them",
        rush::CLIENTS,
        rush::ORDERING
    );
}

fn say_load(plan: &Plan, limits: Limits) {
    println!(
        "load: {} polite clients at {}/s each and a greedy one at {}/s, for {:?} on each; \
         behind Plimsoll a client may have {}/s and a burst of {}",
        plan.polite_clients,
        plan.polite_rate,
        plan.greedy_rate,
        plan.duration,
        limits.rate,
        limits.burst
    );
}

/// Seconds from a command line.
///
/// # Errors
///
/// When it is no number from 0.1 to 600.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    if !(0.1..=600.0).contains(&seconds) {
        return Err("it must be from 0.1 to 600 seconds".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}
