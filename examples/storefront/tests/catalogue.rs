//! What the ingest makes of good and broken sources.
#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

mod shop;

use std::{collections::BTreeMap, fs, future::pending, path::Path};

use storefront::{
    database::Database,
    demo::{self, Source},
    ingest::Sources,
};

use shop::{Shop, counts, folder, manifest, plant, sample};

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
        "every manifest is accounted for: 11 found = 2 written + 2 filtered + 7 dead-lettered"
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
