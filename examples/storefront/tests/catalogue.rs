//! What the ingest makes of good and broken sources.
#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use storefront::{
    catalogue::{self, Catalogue},
    database::Database,
    demo::{self, Source},
};

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

#[test]
fn the_sample_has_fifty_products_and_nothing_broken() {
    let catalogue = Catalogue::from_json_lines(&sample()).unwrap();
    assert_eq!(catalogue.products.len(), 50);
    assert_eq!((catalogue.rejects.len(), catalogue.duplicates), (0, 0));
}

#[test]
fn broken_manifests_are_named_with_the_reason_and_the_rest_goes_on() {
    let registry = folder("registry");
    let plant = |package: &str, manifest: &[u8]| {
        let package = registry.join(package);
        fs::create_dir_all(&package).unwrap();
        fs::write(package.join("Cargo.toml"), manifest).unwrap();
    };
    plant(
        "one/good-1.0.0",
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
    let named = |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\n");
    plant("one/twice-1.0.0", named("twice").as_bytes());
    plant("two/twice-1.0.0", named("twice").as_bytes());
    plant("one/empty-name", named(" ").as_bytes());
    plant("one/no-package", b"[workspace]\nmembers = []\n");
    plant("one/not-toml", b"[package\nname = \n");
    plant("one/not-utf8", b"[package]\nname = \"\xff\"\n");
    plant("one/version-is-a-number", b"[package]\nname = \"a\"\nversion = 1\n");
    plant("one/vast", &vec![b'#'; (1 << 20) + 1]);
    fs::create_dir_all(registry.join("one/no-manifest")).unwrap();
    fs::create_dir_all(registry.join("one/manifest-is-a-folder/Cargo.toml")).unwrap();
    fs::write(registry.join("CACHEDIR.TAG"), "a file beside the folders").unwrap();

    let mut catalogue = Catalogue::default();
    catalogue.add_registry(&registry);

    let names: Vec<_> = catalogue.products.iter().map(|product| &product.name).collect();
    assert_eq!(names, ["good", "twice"]);
    assert_eq!(catalogue.products[0].dependencies, ["a-table", "for-windows", "plain"]);
    assert_eq!(catalogue.products[0].licence.as_deref(), Some("MIT"));
    assert_eq!(catalogue.duplicates, 1);

    let reason = |name: &str| {
        let path = registry.join("one").join(name).join("Cargo.toml");
        let found = catalogue.rejects.iter().find(|reject| reject.place == path.to_str().unwrap());
        found.unwrap_or_else(|| panic!("{name} is not named")).reason.clone()
    };
    assert_eq!(catalogue.rejects.len(), 7);
    assert_eq!(reason("empty-name"), "name must not be empty");
    assert_eq!(reason("no-package"), "missing field `package`");
    assert!(reason("not-utf8").contains("invalid utf-8"), "{}", reason("not-utf8"));
    assert!(reason("version-is-a-number").contains("expected a string"));
    assert_eq!(reason("vast"), "the file is larger than 1048576 bytes");
    for name in ["not-toml", "manifest-is-a-folder"] {
        assert!(!reason(name).is_empty() && !reason(name).contains('\n'), "{name}");
    }
}

#[test]
fn a_registry_that_is_not_there_is_a_note() {
    let mut catalogue = Catalogue::default();
    catalogue.add_registry(&folder("empty").join("nowhere"));
    assert_eq!(catalogue.products, []);
    assert!(catalogue.notes[0].contains("nowhere"), "{:?}", catalogue.notes);
}

#[test]
fn bad_lines_are_named_with_their_number_and_the_rest_goes_on() {
    let path = folder("lines").join("catalogue.jsonl");
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

    let catalogue = catalogue::load(Some(&path)).unwrap();

    let names: Vec<_> = catalogue.products.iter().map(|product| &product.name).collect();
    assert_eq!(names, ["lamp", "chair"]);
    assert_eq!(catalogue.products[0].licence.as_deref(), Some("MIT"));
    assert_eq!(catalogue.duplicates, 1);
    let places: Vec<_> = catalogue.rejects.iter().map(|reject| reject.place.clone()).collect();
    assert_eq!(places, [3, 4, 5, 7, 8].map(|line| format!("{}:{line}", path.display())));
    let reasons: Vec<_> = catalogue.rejects.iter().map(|reject| reject.reason.as_str()).collect();
    assert!(reasons[1].starts_with("missing field `version`"), "{reasons:?}");
    assert_eq!(reasons[3], "name must not be empty");
    assert_eq!(reasons[4], "the line is longer than 1048576 bytes");
}

#[test]
fn a_source_without_a_product_says_what_to_do() {
    let path = folder("nothing").join("catalogue.jsonl");
    fs::write(&path, "nonsense\n").unwrap();
    let said = catalogue::load(Some(&path)).unwrap_err().to_string();
    assert!(said.starts_with(&format!("found no product in {} (1 broken)", path.display())));
    assert!(said.contains("--catalogue FILE"), "{said}");
}

#[test]
fn a_catalogue_that_is_not_there_is_named_with_the_reason() {
    let path = folder("missing").join("no-such-file.jsonl");
    let said = format!("{:#}", catalogue::load(Some(&path)).unwrap_err());
    assert!(said.starts_with(&format!("could not read the catalogue {}: ", path.display())));
    assert!(said.contains("No such file") || said.contains("cannot find"), "{said}");
}

#[test]
fn a_database_path_that_cannot_be_written_is_named_with_the_reason() {
    let folder = folder("unwritable");
    fs::write(folder.join("file"), "").unwrap();
    for path in [folder.clone(), folder.join("missing/shop.db"), folder.join("file/shop.db")] {
        let source = Source { catalogue: Some(sample()), database: Some(path.clone()) };
        let said = format!("{:#}", demo::ingest(&source).unwrap_err());
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

#[test]
fn a_kept_database_can_be_filled_again() {
    let path = folder("kept").join("shop.db");
    let source = Source { catalogue: Some(sample()), database: Some(path.clone()) };
    for _ in 0..2 {
        let (database, held) = demo::ingest(&source).unwrap();
        assert_eq!(held, 50);
        assert!(!database.is_temporary());
    }
    assert!(path.exists());
}
