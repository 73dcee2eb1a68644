//! A product search over real data, under open-loop load.
//!
//! The library holds the parts, so that tests can run them in one process; the binary is a thin
//! command line over [`demo`]. One file is one topic:
//!
//! * [`catalogue`]: where products come from, and what is said about the broken ones.
//! * [`store`]: SQLite with full-text search, written once, read without blocking the runtime.
//! * [`http`]: the routes, and the one place that turns a mistake into an answer.
//! * [`gates`]: the one place where Plimsoll meets the service.
//! * [`load`]: arrivals on a fixed schedule, latency counted from the intended start.
//! * [`report`]: the table, the verdict, and the same as JSON.
//! * [`demo`]: all of it in a row: ingest, serve, load, table, clean end.

pub mod catalogue;
pub mod demo;
pub mod gates;
pub mod http;
pub mod load;
pub mod report;
pub mod store;
