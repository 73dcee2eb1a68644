//! A product search over real data, under open-loop load.
//!
//! The library holds the parts, so that tests can run them in one process; the binary is a thin
//! command line over [`demo`]. One file is one topic:
//!
//! * [`catalogue`]: what is sold, and how manifests and lines say it.
//! * [`ingest`]: from files to the database, as a pipeline; what is broken is named, and everything
//!   accounted for.
//! * [`database`]: the SQLite file with its full-text indexes, filled batch by batch.
//! * [`query`]: what is asked of SQLite; no text is a syntax error.
//! * [`store`]: asking it without blocking the runtime.
//! * [`http`]: the routes.
//! * `mistake`: the one place that turns a mistake into an answer.
//! * [`orders`]: writing them, together or one by one, durable before the answer.
//! * [`gates`]: the one place where Plimsoll meets the service.
//! * [`plan`]: who sends how much and when, drawn up beforehand.
//! * [`targets`]: what clients ask for, made from the products.
//! * `caller`: one request over HTTP, and what its answer means.
//! * [`capacity`]: how much the service answers on this machine.
//! * [`load`]: sending the plan, latency counted from the intended start.
//! * [`verdict`]: what was expected, and whether it came.
//! * [`report`]: the table with the verdicts, and the same as JSON.
//! * [`signal`]: being told to stop.
//! * [`demo`]: all of it in a row: ingest, serve, load, table, clean end.

mod caller;
pub mod capacity;
pub mod catalogue;
pub mod database;
pub mod demo;
pub mod gates;
pub mod http;
pub mod ingest;
pub mod load;
mod mistake;
pub mod orders;
pub mod plan;
pub mod query;
pub mod report;
pub mod signal;
pub mod store;
pub mod targets;
pub mod verdict;
