//! What is asked of SQLite, as plain functions of a connection.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use crate::catalogue::Product;

/// A product as a list shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// For `GET /products/{id}`.
    pub id: i64,
    /// The product's name.
    pub name: String,
    /// The product's version.
    pub version: String,
    /// The product's description.
    pub description: Option<String>,
    /// How well it matches, higher is better: bm25 with the sign turned round.
    pub score: f64,
}

/// A product and its number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    /// The number in this database.
    pub id: i64,
    /// All that is known about it.
    #[serde(flatten)]
    pub product: Product,
    /// How many pages of documentation it has.
    pub pages: u64,
}

/// A page of a product's documentation, as a list shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PageHit {
    /// The product that it belongs to, for `GET /products/{id}`.
    pub product: i64,
    /// That product's name.
    pub name: String,
    /// That product's version.
    pub version: String,
    /// The source file, within its package.
    pub path: String,
    /// The page's title.
    pub title: String,
    /// How well it matches, higher is better; not to be compared with that of a product.
    pub score: f64,
}

/// Turns what somebody typed into an FTS5 expression that can't be one by accident.
///
/// Each word becomes a quoted string, in which only `"` means anything and is doubled, so
/// `NOT`, `*`, `^`, `NEAR(` and brackets are plain text. All words are required, the last one may
/// be the beginning of a longer one. A NUL would end the expression early, so control characters
/// part words. Source: SQLite's FTS5 documentation, section 3, "Full-text Query Syntax".
///
/// `None` when there is no letter or digit to look for.
pub(crate) fn match_expression(typed: &str) -> Option<String> {
    let words: Vec<_> = typed
        .split(|c: char| c.is_whitespace() || c.is_control())
        // FTS5 drops what is neither letter nor digit; a word of nothing else finds nothing.
        .filter(|word| word.contains(char::is_alphanumeric))
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    (!words.is_empty()).then(|| words.join(" ") + "*")
}

pub(crate) fn search(
    connection: &Connection,
    query: &str,
    limit: u8,
) -> rusqlite::Result<Vec<Hit>> {
    // bm25 is lower for a better match. The weights say where a word counts most: name,
    // keywords, categories, description. Source: FTS5 documentation, section 5.1.1.
    let mut statement = connection.prepare_cached(
        "SELECT id, products.name, version, products.description,
                -bm25(products_fts, 10.0, 5.0, 2.0, 1.0) AS score
         FROM products_fts JOIN products ON products.id = products_fts.rowid
         WHERE products_fts MATCH ?1
         ORDER BY score DESC, products.name, version
         LIMIT ?2",
    )?;
    let hits = statement.query_map(params![query, limit], |row| {
        Ok(Hit {
            id: row.get(0)?,
            name: row.get(1)?,
            version: row.get(2)?,
            description: row.get(3)?,
            score: row.get(4)?,
        })
    })?;
    hits.collect()
}

pub(crate) fn pages(
    connection: &Connection,
    query: &str,
    limit: u8,
) -> rusqlite::Result<Vec<PageHit>> {
    // There is much more text here than in the descriptions of products. Whole words, then, which
    // cost a tenth of beginnings, and no excerpts, which cost as much as the search. Sorted by the
    // index itself. The weights: title, text. Source: FTS5 documentation, section 5.2.
    let query = query.strip_suffix('*').unwrap_or(query);
    let mut statement = connection.prepare_cached(
        "SELECT product, products.name, products.version, path, pages.title, -pages_fts.rank
         FROM pages_fts
         JOIN pages ON pages.id = pages_fts.rowid
         JOIN products ON products.id = pages.product
         WHERE pages_fts MATCH ?1 AND pages_fts.rank MATCH 'bm25(4.0, 1.0)'
         ORDER BY pages_fts.rank
         LIMIT ?2",
    )?;
    let hits = statement.query_map(params![query, limit], |row| {
        Ok(PageHit {
            product: row.get(0)?,
            name: row.get(1)?,
            version: row.get(2)?,
            path: row.get(3)?,
            title: row.get(4)?,
            score: row.get(5)?,
        })
    })?;
    hits.collect()
}

pub(crate) fn product(connection: &Connection, id: i64) -> rusqlite::Result<Option<Listed>> {
    let mut statement = connection.prepare_cached(
        "SELECT *, (SELECT count(*) FROM pages WHERE product = products.id) AS pages
         FROM products WHERE id = ?1",
    )?;
    let listed = statement.query_row([id], |row| {
        Ok(Listed { id: row.get("id")?, product: as_product(row)?, pages: row.get("pages")? })
    });
    listed.optional()
}

pub(crate) fn ids_and_words(connection: &Connection) -> rusqlite::Result<(Vec<i64>, Vec<String>)> {
    let mut statement = connection.prepare("SELECT * FROM products ORDER BY id")?;
    let products = statement.query_map([], |row| Ok((row.get("id")?, as_product(row)?)))?;
    let products: Vec<(i64, Product)> = products.collect::<Result<_, _>>()?;
    let ids = products.iter().map(|(id, _)| *id).collect();
    let mut words: Vec<_> = products
        .into_iter()
        .flat_map(|(_, product)| product.keywords.into_iter().chain([product.name]))
        .filter(|word| word.len() <= 64 && word.contains(char::is_alphanumeric))
        .collect();
    words.sort();
    words.dedup();
    Ok((ids, words))
}

pub(crate) fn orders_among(connection: &Connection, mut ids: Vec<i64>) -> rusqlite::Result<u64> {
    ids.sort_unstable();
    ids.dedup();
    let mut statement = connection.prepare("SELECT 1 FROM orders WHERE id = ?1")?;
    let mut found = 0;
    for id in ids {
        found += u64::from(statement.exists([id])?);
    }
    Ok(found)
}

fn as_product(row: &Row<'_>) -> rusqlite::Result<Product> {
    let list = |column: &str| -> rusqlite::Result<Vec<String>> {
        let text: String = row.get(column)?;
        serde_json::from_str(&text).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
        })
    };
    Ok(Product {
        name: row.get("name")?,
        version: row.get("version")?,
        description: row.get("description")?,
        keywords: list("keywords")?,
        categories: list("categories")?,
        licence: row.get("licence")?,
        dependencies: list("dependencies")?,
        repository: row.get("repository")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_query_is_words_and_nothing_else() {
        assert_eq!(match_expression("red OR lamp").unwrap(), r#""red" "OR" "lamp"*"#);
        assert_eq!(match_expression(r#"a"b"#).unwrap(), r#""a""b"*"#);
        assert_eq!(match_expression("a\0b").unwrap(), r#""a" "b"*"#);
        assert_eq!(match_expression(" * () \" "), None);
    }
}
