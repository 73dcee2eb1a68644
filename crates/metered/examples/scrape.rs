//! A metered tuple of gates, and what Prometheus would scrape.
//!
//! `cargo run -p plimsoll-metered --example scrape`

use metrics_exporter_prometheus::PrometheusBuilder;
use plimsoll_core::{GateExt, Outcome, testing::Places};
use plimsoll_metered::Metered;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The recorder first: a gate built before it would count nothing for ever.
    let recorder = PrometheusBuilder::new().install_recorder()?;

    let tenant = Places::new(3).named("tenant");
    let database = Places::new(2).named("database");
    let gates = Metered::new("search", (tenant, database)).service_time();

    let first = gates.try_admit()?;
    let _second = gates.try_admit()?; // still under way when we look
    for _ in 0..5 {
        let refusal = gates.try_admit().expect_err("the database has two places");
        assert_eq!(refusal.gate(), "database");
    }
    first.finish(Outcome::Success);

    let page = recorder.render();
    println!("{page}");
    let refused = r#"plimsoll_refused_total{gate="search",by="database",reason="concurrency"} 5"#;
    assert!(page.contains(refused));
    assert!(page.contains(r#"plimsoll_in_flight{gate="search"} 1"#));
    Ok(())
}
