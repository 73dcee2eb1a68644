//! A product search over real data, under open-loop load.
//!
//! The library holds the parts, so that tests can run them in one process; the binary is a thin
//! command line over [`demo`]. One file is one topic:
//!
//! * [`catalogue`]: where products come from, and what is said about the broken ones.
//! * [`database`]: the SQLite file with its full-text index, filled in one transaction.
//! * [`query`]: what is asked of SQLite; no text is a syntax error.
//! * [`store`]: asking it without blocking the runtime.
//! * [`http`]: the routes, and the one place that turns a mistake into an answer.
//! * [`gates`]: the one place where Plimsoll meets the service.
//! * [`plan`]: who sends how much and when, drawn up beforehand.
//! * [`load`]: sending it, latency counted from the intended start.
//! * [`report`]: the table, the verdict, and the same as JSON.
//! * [`demo`]: all of it in a row: ingest, serve, load, table, clean end.

pub mod catalogue;
pub mod database;
pub mod demo;
pub mod gates;
pub mod http;
pub mod load;
pub mod plan;
pub mod query;
pub mod report;
pub mod store;
