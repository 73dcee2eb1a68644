//! What the ingest makes of good and broken sources.
#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use std::{
    collections::BTreeMap,
    fs,
    future::pending,
    path::{Path, PathBuf},
};

use plimsoll::pipeline::CancellationToken;
use rusqlite::Connection;
use storefront::{
    database::Database,
    demo::{self, Source},
    ingest::{Ingest, Sources, Workers, account::Counts, ingest},
    store::Store,
};
use tokio::task::yield_now;

/// A fresh folder for one test.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue/sample.jsonl")
}

/// A database in a folder, and a look into it.
struct Shop {
    database: Database,
    look: Connection,
}

impl Shop {
    fn new(folder: &Path) -> Self {
        let path = folder.join("shop.db");
        Self { database: Database::at(&path).unwrap(), look: Connection::open(&path).unwrap() }
    }

    async fn ingest(&self, sources: Sources) -> anyhow::Result<Ingest> {
        let workers = Workers { read: 4, parse: 4 };
        ingest(&self.database, sources, workers, CancellationToken::new(), None).await
    }

    fn ask<T: rusqlite::types::FromSql>(&self, query: &str) -> Vec<T> {
        let mut statement = self.look.prepare(query).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// How many rows there are; none where there is no table.
    fn count(&self, table: &str) -> u64 {
        let query = format!("SELECT count(*) FROM {table}");
        self.look.query_row(&query, [], |row| row.get(0)).unwrap_or_default()
    }

    /// Holds the full-text indexes against what they are indexes of.
    fn check_indexes(&self) {
        for index in ["products_fts", "pages_fts"] {
            let check =
                format!("INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)");
            self.look.execute(&check, []).unwrap();
        }
    }
}

/// Writes a file and the folders above it.
fn plant(path: PathBuf, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn manifest(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\n")
}

fn counts(
    found: u64,
    written: u64,
    filtered: &[(&'static str, u64)],
    dead_lettered: u64,
) -> Counts {
    Counts {
        found,
        written,
        filtered: BTreeMap::from_iter(filtered.iter().copied()),
        dead_lettered,
    }
}

#[tokio::test]
async fn the_sample_has_fifty_products_and_nothing_broken() {
    let ingested = Shop::new(&folder("sample")).ingest(Sources::lines(&sample())).await.unwrap();
    assert_eq!(*ingested.manifests(), counts(50, 50, &[], 0));
    assert_eq!((ingested.held.products, ingested.held.pages), (50, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_found_is_written_or_left_out_or_named_as_broken() {
    let folder = folder("everything");
    let registry = folder.join("registry");
    let file = |path: &str, text: &[u8]| plant(registry.join(path), text);
    let vast = vec![b'#'; (1 << 20) + 1];
    file(
        "one/good-1.0.0/Cargo.toml",
        br#"
            [package]
            name = "good"
            version = "1.0.0"
            description = "A manifest as it should be"
            keywords = ["whole"]
            license = "MIT"
            [dependencies]
            plain = "1"
            [dependencies.a-table]
            version = "2"
            [dev-dependencies]
            not-counted = "1"
            [target.'cfg(windows)'.dependencies]
            for-windows = "0.1"
        "#,
    );
    file("one/good-1.0.0/src/lib.rs", b"//! # Good\r\n//!\r\n//! All of it.\r\n");
    file("one/good-1.0.0/src/plain.rs", b"fn main() {}");
    file("one/good-1.0.0/src/latin1.rs", b"/// Caf\xe9.");
    file("one/good-1.0.0/src/vast.rs", &vast);
    file("one/good-1.0.0/README.md", b"/// no source");
    file("one/good-1.0.0/target/out.rs", b"/// made by a build");
    file("one/good-1.0.0/.git/hook.rs", b"/// hidden");
    file("one/good-1.0.0/inner/Cargo.toml", manifest("inner").as_bytes());
    file("one/good-1.0.0/inner/lib.rs", b"/// of another package");
    for index in ["one", "two"] {
        file(&format!("{index}/twice-1.0.0/Cargo.toml"), manifest("twice").as_bytes());
        file(&format!("{index}/twice-1.0.0/src/lib.rs"), b"/// Twice.");
    }
    file("one/empty-name/Cargo.toml", manifest(" ").as_bytes());
    file("one/empty-name/src/lib.rs", b"//! Nobody's.");
    file("one/workspace/Cargo.toml", b"[workspace]\nmembers = []\n");
    file("one/no-package/Cargo.toml", b"[dependencies]\n");
    file("one/not-toml/Cargo.toml", b"[package\nname = \n");
    file("one/not-utf8/Cargo.toml", b"[package]\nname = \"\xff\"\n");
    file("one/version-is-a-number/Cargo.toml", b"[package]\nname = \"a\"\nversion = 1\n");
    file("one/vast/Cargo.toml", &vast);
    fs::create_dir_all(registry.join("one/no-manifest")).unwrap();
    fs::create_dir_all(registry.join("one/manifest-is-a-folder/Cargo.toml")).unwrap();
    file("CACHEDIR.TAG", b"a file beside the folders");

    let shop = Shop::new(&folder);
    let ingested = shop.ingest(Sources::registry(&registry)).await.unwrap();

    let left_out = [("a workspace without a package", 1), ("a name and version met before", 1)];
    assert_eq!(*ingested.manifests(), counts(11, 2, &left_out, 7));
    let left_out = [("no doc comments", 1), ("its package was not taken", 2)];
    assert_eq!(*ingested.sources(), counts(7, 2, &left_out, 2));
    let verdict = ingested.verdict();
    assert!(verdict.holds);
    assert_eq!(
        verdict.says,
        "every manifest is accounted for: 11 found = 2 written + 2 left out + 7 broken"
    );
    let report = &ingested.report;
    assert_eq!((report.read, report.written, report.filtered, report.dead_lettered), (18, 4, 5, 9));

    assert_eq!(shop.ask::<String>("SELECT name FROM products ORDER BY id"), ["good", "twice"]);
    let dependencies = shop.ask::<String>("SELECT dependencies FROM products WHERE id = 1");
    assert_eq!(dependencies, [r#"["a-table","for-windows","plain"]"#]);
    let pages =
        "SELECT product || ' ' || path || ' ' || title || ' ' || text FROM pages ORDER BY id";
    let path = Path::new("src").join("lib.rs").display().to_string();
    let expected =
        [format!("1 {path} Good # Good\n\nAll of it."), format!("2 {path} {path} Twice.")];
    assert_eq!(shop.ask::<String>(pages), expected);
    shop.check_indexes();

    let letter = |path: &str| {
        let path = registry.join("one").join(path);
        let letter = ingested.dead_letters().iter().find(|it| it.place == path.to_str().unwrap());
        let letter = letter.unwrap_or_else(|| panic!("{} is not named", path.display()));
        (letter.stage.clone(), letter.reason.clone())
    };
    assert_eq!(ingested.dead_letters().len(), 9);
    let is = |path: &str, stage: &str, reason: &str| {
        let (at, why) = letter(path);
        assert_eq!(at, stage, "{path}");
        assert!(why.contains(reason) && !why.contains('\n'), "{path}: {why}");
    };
    is("empty-name/Cargo.toml", "validate", "name must not be empty");
    is("no-package/Cargo.toml", "parse", "missing field `package`");
    is("not-toml/Cargo.toml", "parse", "");
    is("not-utf8/Cargo.toml", "parse", "invalid utf-8");
    is("version-is-a-number/Cargo.toml", "parse", "expected a string");
    is("vast/Cargo.toml", "read", "the file is larger than 1048576 bytes");
    is("manifest-is-a-folder/Cargo.toml", "read", "");
    is("good-1.0.0/src/vast.rs", "read", "the file is larger than 1048576 bytes");
    is("good-1.0.0/src/latin1.rs", "parse", "invalid utf-8");
}

#[tokio::test]
async fn beyond_ten_dead_letters_are_counted_and_not_kept() {
    let folder = folder("many");
    let lines = "torn\n".repeat(25) + "{\"name\": \"lamp\", \"version\": \"1\"}";
    fs::write(folder.join("catalogue.jsonl"), lines).unwrap();
    let sources = Sources::lines(&folder.join("catalogue.jsonl"));
    let ingested = Shop::new(&folder).ingest(sources).await.unwrap();
    assert_eq!(*ingested.manifests(), counts(26, 1, &[], 25));
    assert_eq!(ingested.dead_letters().len(), 10);
    assert!(ingested.to_string().contains("\n  and 15 more\n"), "{ingested}");
}

#[tokio::test]
async fn the_broken_packages_of_the_demo_are_broken_as_they_should_be() {
    let sources = Sources::lines(&sample()).also(demo::planted());
    let ingested = Shop::new(&folder("planted")).ingest(sources).await.unwrap();
    let left_out = [("a workspace without a package", 1)];
    assert_eq!(*ingested.manifests(), counts(54, 50, &left_out, 3));
    assert_eq!(*ingested.sources(), counts(2, 0, &[("its package was not taken", 1)], 1));
    assert!(ingested.verdict().holds);
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_a_note() {
    let folder = folder("empty");
    let said = Shop::new(&folder).ingest(Sources::registry(&folder.join("nowhere"))).await;
    let said = said.unwrap_err().to_string();
    assert!(said.contains("could not list") && said.contains("nowhere"), "{said}");
}

#[tokio::test]
async fn bad_lines_are_named_with_their_number_and_the_rest_goes_on() {
    let folder = folder("lines");
    let path = folder.join("catalogue.jsonl");
    let vast = format!("{{\"name\": \"{}\", \"version\": \"1\"}}", "x".repeat(1 << 20));
    let lines: [&[u8]; 9] = [
        br#"{"name": "lamp", "version": "1", "license": "MIT", "unknown": 1}"#,
        b"",
        b"not json",
        br#"{"name": "no version"}"#,
        b"{\"name\": \"\xff\", \"version\": \"1\"}",
        br#"{"name": "lamp", "version": "1"}"#,
        br#"{"name": "", "version": "1"}"#,
        vast.as_bytes(),
        br#"{"name": "chair", "version": "2"}"#,
    ];
    fs::write(&path, lines.join(&b'\n')).unwrap();

    let shop = Shop::new(&folder);
    let ingested = shop.ingest(Sources::lines(&path)).await.unwrap();

    assert_eq!(shop.ask::<String>("SELECT name FROM products ORDER BY id"), ["lamp", "chair"]);
    assert_eq!(shop.ask::<String>("SELECT licence FROM products WHERE id = 1"), ["MIT"]);
    let again = [("a name and version met before", 1)];
    assert_eq!(*ingested.manifests(), counts(8, 2, &again, 5));
    let letters: BTreeMap<_, _> = ingested
        .dead_letters()
        .iter()
        .map(|letter| (letter.place.as_str(), letter.reason.as_str()))
        .collect();
    let reason = |line: u64| letters[format!("{}:{line}", path.display()).as_str()];
    assert!(!reason(3).is_empty() && !reason(5).is_empty());
    assert!(reason(4).starts_with("missing field `version`"), "{}", reason(4));
    assert_eq!(reason(7), "name must not be empty");
    assert_eq!(reason(8), "the line is longer than 1048576 bytes");
}

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
    };
    let (ingested, ()) = tokio::join!(ingest, stop);
    let ingested = ingested.unwrap();

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
    assert!(hits[1].excerpt.contains("What a shade needs"), "{:?}", hits[1]);
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

#[tokio::test]
async fn a_source_without_a_product_says_what_to_do() {
    let folder = folder("nothing");
    let path = folder.join("catalogue.jsonl");
    fs::write(&path, "nonsense\n").unwrap();
    let said = Shop::new(&folder).ingest(Sources::lines(&path)).await.unwrap_err().to_string();
    assert!(said.starts_with(&format!("found no product in {} (1 broken)", path.display())));
    assert!(said.contains("--catalogue FILE"), "{said}");
}

#[tokio::test]
async fn a_catalogue_that_is_not_there_is_named_with_the_reason() {
    let folder = folder("missing");
    let path = folder.join("no-such-file.jsonl");
    let said = Shop::new(&folder).ingest(Sources::lines(&path)).await.unwrap_err();
    let said = format!("{said:#}");
    assert!(said.starts_with(&format!("could not read the catalogue {}: ", path.display())));
    assert!(said.contains("No such file") || said.contains("cannot find"), "{said}");
}

/// The sample, to be kept there.
fn kept(database: &Path) -> Source {
    let (catalogue, database) = (Some(sample()), Some(database.to_owned()));
    Source { catalogue, database, ..Source::default() }
}

#[tokio::test]
async fn a_database_path_that_cannot_be_written_is_named_with_the_reason() {
    let folder = folder("unwritable");
    fs::write(folder.join("file"), "").unwrap();
    for path in [folder.clone(), folder.join("missing/shop.db"), folder.join("file/shop.db")] {
        let said = format!("{:#}", demo::ingest(kept(&path), pending()).await.unwrap_err());
        let start = format!("could not write the database {}: ", path.display());
        assert!(said.starts_with(&start) && said.len() > start.len(), "{said}");
    }
}

#[test]
fn a_file_that_is_no_database_or_another_programs_is_left_as_it_was() {
    let folder = folder("foreign");
    let text = folder.join("letter.txt");
    fs::write(&text, "Dear reader, ".repeat(1_000)).unwrap();
    let said = format!("{:#}", Database::at(&text).unwrap().fill(&[]).unwrap_err());
    assert!(said.contains("letter.txt") && said.contains("not a database"), "{said}");
    assert!(fs::read_to_string(&text).unwrap().starts_with("Dear reader"));

    let other = folder.join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let said = format!("{:#}", Database::at(&other).unwrap().fill(&[]).unwrap_err());
    assert!(said.contains("other.db") && said.contains("tables of another program"), "{said}");
}

#[tokio::test]
async fn a_kept_database_can_be_filled_again() {
    let path = folder("kept").join("shop.db");
    for _ in 0..2 {
        let (database, ingested) = demo::ingest(kept(&path), pending()).await.unwrap().unwrap();
        assert_eq!(ingested.held.products, 50);
        assert!(!database.is_temporary());
    }
    assert!(path.exists());
}
