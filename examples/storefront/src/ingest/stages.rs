//! What the stages do with one item. Plain functions: how many of them run at once, and what
//! becomes of their errors, says the pipeline.

use std::{
    collections::HashSet,
    fs::File,
    io::Read as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    MAX_BYTES, docs,
    item::{Entry, Found, Identity, Item, Kind, Origin, Page, Parsed, Read, Refused},
};
use crate::catalogue::Product;

/// The longest name and the longest version, in bytes.
const MAX_NAME: usize = 200;
/// The longest description, in bytes.
const MAX_DESCRIPTION: usize = 16 << 10;
/// The most keywords, and the most categories.
const MAX_WORDS: usize = 100;
/// The longest page, in bytes.
const MAX_PAGE: usize = 512 << 10;

/// Why an item is left out.
pub(crate) const NO_PACKAGE: &str = "a workspace without a package";
/// Likewise.
pub(crate) const MET_BEFORE: &str = "a name and version met before";
/// Likewise.
pub(crate) const NO_DOCS: &str = "no doc comments";
/// Likewise.
pub(crate) const NO_PRODUCT: &str = "its package was not taken";

/// Reads a file, never more than [`MAX_BYTES`] of it. Blocks.
pub(crate) fn read(item: Item<Found>) -> Result<Item<Read>, Refused> {
    item.try_map(|origin, found| match found {
        Found::File => read_file(&origin.path).map(Read::Bytes),
        Found::Bytes(bytes) => Ok(Read::Bytes(bytes)),
        Found::Product(product) => Ok(Read::Product(product)),
        Found::Broken(reason) => Err(reason.0),
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let read = || {
        let mut bytes = Vec::new();
        let file = File::open(path)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: std::io::Error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("the file is larger than {MAX_BYTES} bytes"));
    }
    Ok(bytes)
}

/// Makes a product of a manifest or a line, and a page of a source file.
pub(crate) fn parse(item: Item<Read>) -> Result<Item<Parsed>, Refused> {
    item.try_map(|origin, read| {
        let bytes = match read {
            Read::Product(product) => return Ok(Parsed::Product(product)),
            Read::Bytes(bytes) => bytes,
        };
        if origin.kind == Kind::Line {
            return Product::from_line(&bytes).map(|product| Parsed::Product(product.into()));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
        Ok(match origin.kind {
            Kind::Source => page(origin, text).map_or(Parsed::Nothing(NO_DOCS), Parsed::Page),
            Kind::Manifest | Kind::Line => Product::from_manifest(text)?
                .map_or(Parsed::Nothing(NO_PACKAGE), |product| Parsed::Product(product.into())),
        })
    })
}

fn page(origin: &Origin, source: &str) -> Option<Page> {
    let docs::Docs { title, text } = docs::extract(source)?;
    let folder = origin.package.as_ref().map(|package| package.folder.as_path());
    let path = folder.and_then(|folder| origin.path.strip_prefix(folder).ok());
    let path = path.unwrap_or(&origin.path).display().to_string();
    Some(Page { title: title.unwrap_or_else(|| path.clone()), path, text })
}

/// Refuses what is empty or too large.
pub(crate) fn validate(item: Item<Parsed>) -> Result<Item<Parsed>, Refused> {
    item.try_map(|_, parsed| {
        match &parsed {
            Parsed::Product(product) => check_product(product)?,
            Parsed::Page(Page { text, .. }) => at_most("the page", text.len(), MAX_PAGE, "bytes")?,
            Parsed::Nothing(_) => {}
        }
        Ok(parsed)
    })
}

fn check_product(product: &Product) -> Result<(), String> {
    let Product { name, version, description, keywords, categories, .. } = product;
    for (what, text) in [("name", name), ("version", version)] {
        if text.trim().is_empty() {
            return Err(format!("{what} must not be empty"));
        }
        at_most(what, text.len(), MAX_NAME, "bytes")?;
    }
    let description = description.as_ref().map_or(0, String::len);
    at_most("description", description, MAX_DESCRIPTION, "bytes")?;
    at_most("keywords", keywords.len(), MAX_WORDS, "words")?;
    at_most("categories", categories.len(), MAX_WORDS, "words")
}

fn at_most(what: &str, is: usize, most: usize, unit: &str) -> Result<(), String> {
    if is > most { Err(format!("{what} has {is} {unit}, {most} at most")) } else { Ok(()) }
}

/// Tells what is written from what is left out. It keeps the names of the products that it has let
/// through, and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Sieve(Mutex<HashSet<Arc<Identity>>>);

impl Sieve {
    /// What is to be written for this item, or why nothing is.
    pub(crate) fn sift(&self, item: Item<Parsed>) -> Result<Entry, &'static str> {
        let Item { origin, it } = item;
        match it {
            Parsed::Nothing(why) => Err(why),
            Parsed::Product(product) => {
                let Product { name, version, .. } = &*product;
                let identity = Identity { name: name.clone(), version: version.clone() };
                let identity = Arc::new(identity);
                // Nothing under the lock can panic half-way.
                let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if !met.insert(Arc::clone(&identity)) {
                    return Err(MET_BEFORE);
                }
                if let Some(package) = origin.package {
                    // Once set it stays: a package has one manifest.
                    let _ = package.product.set(identity);
                }
                Ok(Entry::Product(product))
            }
            Parsed::Page(page) => {
                let product = origin.package.as_ref().and_then(|package| package.product.get());
                Ok(Entry::Page(Arc::clone(product.ok_or(NO_PRODUCT)?), page))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::item::{Package, Reason};
    use std::path::PathBuf;

    fn item<T>(kind: Kind, it: T) -> Item<T> {
        let package = Package::at(Path::new("shop/lamp-1"));
        let path = PathBuf::from("shop/lamp-1/src/lib.rs");
        Item::of(Origin { kind, path, line: None, package: Some(package) }, it)
    }

    fn parsed(kind: Kind, text: &[u8]) -> Result<Parsed, String> {
        parse(item(kind, Read::Bytes(text.into()))).map(|it| it.it).map_err(|it| it.reason.0)
    }

    fn lamp() -> Box<Product> {
        Box::new(Product::from_line(br#"{"name": "lamp", "version": "1"}"#).unwrap())
    }

    #[test]
    fn a_file_of_the_limit_is_read_and_one_byte_more_is_refused() {
        let path = std::env::temp_dir().join(format!("storefront-limit-{}", std::process::id()));
        let most = usize::try_from(MAX_BYTES).unwrap();
        for (length, expected) in [(most, true), (most + 1, false)] {
            std::fs::write(&path, vec![b'#'; length]).unwrap();
            assert_eq!(read_file(&path).is_ok(), expected, "{length}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(!read_file(&path).unwrap_err().is_empty());
    }

    #[test]
    fn what_could_not_be_looked_into_is_refused_with_its_place() {
        let refused = read(item(Kind::Source, Found::Broken(Reason("no".into())))).unwrap_err();
        assert_eq!(refused.origin.path, Path::new("shop/lamp-1/src/lib.rs"));
        assert_eq!(refused.reason.0, "no");
    }

    #[test]
    fn a_source_file_becomes_a_page_with_its_path_in_the_package() {
        let Parsed::Page(page) = parsed(Kind::Source, b"//! Lamps.\n/// One.\nfn f() {}").unwrap()
        else {
            panic!("no page");
        };
        assert_eq!((page.path.as_str(), page.title.as_str()), ("src/lib.rs", "Lamps."));
        assert_eq!(page.text, "Lamps.\n\nOne.");

        let untitled = parsed(Kind::Source, b"/// One.\nfn f() {}").unwrap();
        assert!(matches!(untitled, Parsed::Page(page) if page.title == "src/lib.rs"));
        let nothing = parsed(Kind::Source, b"fn f() {}").unwrap();
        assert!(matches!(nothing, Parsed::Nothing(NO_DOCS)));
    }

    #[test]
    fn a_workspace_without_a_package_is_left_out_and_a_torn_manifest_refused() {
        let workspace = parsed(Kind::Manifest, b"[workspace]\nmembers = []").unwrap();
        assert!(matches!(workspace, Parsed::Nothing(NO_PACKAGE)));
        assert_eq!(parsed(Kind::Manifest, b"").unwrap_err(), "missing field `package`");
        assert!(!parsed(Kind::Manifest, b"[package\nname = ").unwrap_err().is_empty());
        assert!(parsed(Kind::Source, b"/// \xff").unwrap_err().contains("invalid utf-8"));
    }

    #[test]
    fn what_is_empty_or_too_large_is_refused_and_the_limit_itself_is_not() {
        let refused = |product: Product| {
            let item = item(Kind::Line, Parsed::Product(product.into()));
            validate(item).map(|_| ()).map_err(|refused| refused.reason.0)
        };
        assert_eq!(refused(*lamp()), Ok(()));
        assert_eq!(refused(Product { name: "x".repeat(200), ..*lamp() }), Ok(()));
        let long = refused(Product { name: "x".repeat(201), ..*lamp() });
        assert_eq!(long.unwrap_err(), "name has 201 bytes, 200 at most");
        let blank = refused(Product { version: " ".into(), ..*lamp() });
        assert_eq!(blank.unwrap_err(), "version must not be empty");
        let many = refused(Product { keywords: vec![String::new(); 101], ..*lamp() });
        assert_eq!(many.unwrap_err(), "keywords has 101 words, 100 at most");

        let page = |length| {
            let page = Page { path: "a".into(), title: "a".into(), text: "x".repeat(length) };
            validate(item(Kind::Source, Parsed::Page(page))).is_ok()
        };
        assert!(page(MAX_PAGE) && !page(MAX_PAGE + 1));
    }

    #[test]
    fn a_product_is_let_through_once_and_a_page_only_behind_its_own() {
        let sieve = Sieve::default();
        let page = || Page { path: "a".into(), title: "a".into(), text: "a".into() };
        let early = item(Kind::Source, Parsed::Page(page()));
        assert!(matches!(sieve.sift(early), Err(NO_PRODUCT)));

        let manifest = item(Kind::Manifest, Parsed::Product(lamp()));
        let origin = manifest.origin.clone();
        assert!(matches!(sieve.sift(manifest), Ok(Entry::Product(_))));
        let behind = sieve.sift(Item::of(origin, Parsed::Page(page()))).unwrap();
        assert!(matches!(behind, Entry::Page(product, _) if product.name == "lamp"));

        let again = item(Kind::Manifest, Parsed::Product(lamp()));
        assert!(matches!(sieve.sift(again), Err(MET_BEFORE)));
        let nothing = item(Kind::Source, Parsed::Nothing(NO_DOCS));
        assert!(matches!(sieve.sift(nothing), Err(NO_DOCS)));
    }
}
