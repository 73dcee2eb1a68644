//! What an ingest leaves behind: when it is told to stop, when it runs again, when it fails.
#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

mod shop;

use std::{fs, future::pending};

use plimsoll::pipeline::CancellationToken;
use storefront::{
    demo,
    ingest::{Sources, Workers, account::Counts, ingest},
    store::Store,
};
use tokio::task::yield_now;

use shop::{Shop, counts, folder, manifest, plant, sample};

#[tokio::test]
async fn an_ingest_that_is_told_to_stop_keeps_what_it_found_and_nothing_half() {
    const LINES: u64 = 100_000;
    let folder = folder("stopped");
    let path = folder.join("catalogue.jsonl");
    let line =
        |n| format!("{{\"name\": \"lamp-{n}\", \"version\": \"1\", \"keywords\": [\"k{n}\"]}}\n");
    fs::write(&path, (0..LINES).map(line).collect::<String>()).unwrap();

    let shop = Shop::new(&folder);
    let token = CancellationToken::new();
    let sources = Sources::lines(&path).also(demo::planted());
    let ingest = ingest(&shop.database, sources, Workers::default(), token.clone(), None);
    // Once the first batch is there: some are found and not written, and most are not found.
    let stop = async {
        while shop.count("products") == 0 {
            yield_now().await;
        }
        token.cancel();
        pending::<()>().await;
    };
    let ingested = tokio::select! {
        ingested = ingest => ingested.unwrap(),
        () = stop => unreachable!("it waits for the ingest"),
    };

    assert!(ingested.stopped);
    let Counts { found, written, .. } = *ingested.manifests();
    assert!(0 < written && found < LINES, "{}", ingested.manifests());
    assert_eq!(*ingested.manifests(), counts(found, found, &[], 0));
    assert!(ingested.verdict().holds);
    assert_eq!((shop.count("products"), ingested.held.products), (written, written));
    let names = shop.ask::<String>("SELECT name FROM products ORDER BY id");
    assert!(names.iter().enumerate().all(|(n, name)| *name == format!("lamp-{n}")));
    shop.check_indexes();
}

#[tokio::test]
async fn the_printed_report_names_every_stage_and_the_bottleneck_and_its_account_adds_up() {
    let sources = Sources::lines(&sample()).also(demo::planted());
    let ingested = Shop::new(&folder("printed")).ingest(sources).await.unwrap();
    let printed = ingested.to_string();
    let mut lines = printed.lines();

    // "56 read: 50 written, 2 filtered, 4 dead-lettered; 31.02ms, 1805 items/s"
    let (read, ended) = lines.next().unwrap().split_once(" read: ").unwrap();
    let (ended, _) = ended.split_once(';').unwrap();
    let items = |text: &str| text.split_whitespace().next().unwrap().parse::<u64>().unwrap();
    assert_eq!((items(read), ended.split(", ").map(items).sum()), (56, 56), "{printed}");

    assert!(lines.next().unwrap().starts_with("stage "), "{printed}");
    let stages = lines.by_ref().take_while(|line| !line.is_empty() && line.contains('%'));
    let mut rows: Vec<_> = stages.map(|line| line.split("  ").next().unwrap().trim()).collect();
    let bottleneck = rows.pop().unwrap();
    assert_eq!(rows, ["source", "read", "parse", "validate + sift", "batch", "write"], "{printed}");
    let (name, _) = bottleneck.strip_prefix("bottleneck: ").unwrap().split_once(", busy ").unwrap();
    assert!(rows.contains(&name), "{printed}");
}

#[tokio::test]
async fn a_second_ingest_keeps_ids_and_takes_the_new_text() {
    let folder = folder("again");
    let registry = folder.join("registry");
    for name in ["chair", "lamp", "table"] {
        let package = registry.join("one").join(name);
        plant(package.join("Cargo.toml"), manifest(name) + "description = \"old words\"\n");
        plant(package.join("src/lib.rs"), format!("//! The {name}.\n//! Old text."));
    }
    let shop = Shop::new(&folder);
    let ids = "SELECT id || ' ' || name || ' ' || version FROM products ORDER BY id";
    let pages = "SELECT id || ' ' || product || ' ' || path FROM pages ORDER BY id";
    shop.ingest(Sources::registry(&registry)).await.unwrap();
    let first = (shop.ask::<String>(ids), shop.ask::<String>(pages));
    assert_eq!((first.0.len(), first.1.len()), (3, 3));

    let lamp = registry.join("one/lamp");
    plant(lamp.join("Cargo.toml"), manifest("lamp") + "description = \"fresh words\"\n");
    plant(lamp.join("src/lib.rs"), "//! The lamp.\n//! Fresh text.");
    plant(registry.join("one/apple/Cargo.toml"), manifest("apple"));
    for _ in 0..2 {
        let ingested = shop.ingest(Sources::registry(&registry)).await.unwrap();
        assert_eq!(*ingested.manifests(), counts(4, 4, &[], 0));
        assert_eq!((ingested.held.products, ingested.held.pages), (4, 3));
    }
    assert_eq!(shop.ask::<String>(ids)[..3], first.0);
    assert_eq!(shop.ask::<String>(pages), first.1);
    let find = |index: &str, word: &str| {
        shop.ask::<i64>(&format!("SELECT rowid FROM {index} WHERE {index} MATCH '{word}'"))
    };
    assert_eq!((find("products_fts", "fresh"), find("pages_fts", "fresh")), (vec![2], vec![2]));
    assert_eq!(find("products_fts", "old"), [1, 3]);
    assert_eq!(find("pages_fts", "old"), [1, 3]);
    shop.check_indexes();
}

#[tokio::test]
async fn pages_are_found_by_their_words_and_the_title_counts_most() {
    let folder = folder("pages");
    let lamp = folder.join("registry/one/lamp");
    plant(lamp.join("Cargo.toml"), manifest("lamp"));
    plant(lamp.join("a.rs"), "//! Wires.\n//! What a shade needs, and the bulb in it.");
    plant(lamp.join("b.rs"), "//! A shade.\n//! Paper, mostly.");
    plant(lamp.join("c.rs"), "//! Feet.");
    let shop = Shop::new(&folder);
    shop.ingest(Sources::registry(&folder.join("registry"))).await.unwrap();
    let store = Store::open(shop.database, 1, 8).unwrap();
    let hits = store.pages("shade", 10).await.unwrap();
    let found: Vec<_> = hits.iter().map(|hit| (hit.path.as_str(), hit.title.as_str())).collect();
    assert_eq!(found, [("b.rs", "A shade."), ("a.rs", "Wires.")]);
    assert_eq!((hits[0].product, hits[0].name.as_str()), (1, "lamp"));
    assert_eq!(store.pages("shad", 10).await.unwrap(), [], "the beginning of a word");
    assert_eq!(store.pages("shade", 1).await.unwrap()[..], hits[..1]);
    assert_eq!(store.product(1).await.unwrap().unwrap().pages, 3);
    store.close().await;
}

#[tokio::test]
async fn a_database_that_says_no_ends_the_ingest_and_keeps_what_was_there() {
    let folder = folder("refused");
    let shop = Shop::new(&folder);
    shop.ingest(Sources::lines(&sample())).await.unwrap();
    let refuse = "CREATE TRIGGER no BEFORE INSERT ON products WHEN new.name = 'poison'
                  BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    shop.look.execute_batch(refuse).unwrap();
    let lines = ["sugar", "poison"].map(|it| format!("{{\"name\": \"{it}\", \"version\": \"1\"}}"));
    fs::write(folder.join("poison.jsonl"), lines.join("\n")).unwrap();

    let said = shop.ingest(Sources::lines(&folder.join("poison.jsonl"))).await.unwrap_err();
    let said = format!("{said:#}");
    let path = shop.database.path().display();
    let start =
        format!("could not fill the database {path}: stage `write` failed: the disk is full");
    assert!(said.starts_with(&start), "{said}");
    assert_eq!(shop.count("products"), 50);
    shop.check_indexes();
}
