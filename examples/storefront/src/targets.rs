//! What clients ask for, made from the products that are there.

use std::collections::BTreeSet;

/// Paths to ask for.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Searches for a word that somebody would type, one request in ten for a product.
    narrow: Vec<String>,
    /// Searches for all that begins with a letter, a hundred products at a time: how a crawler
    /// goes through a catalogue. They cost the service many times what a refusal costs.
    broad: Vec<String>,
}

impl Targets {
    /// Searches for `words`, and products of `ids`. Each word must be one of a product's, so that
    /// every search has something to find. `None` if there are no words.
    #[must_use]
    pub fn new(words: &[String], ids: &[i64]) -> Option<Self> {
        let searches = words.iter().map(|word| format!("/search?q={}", encode(word)));
        let products = ids.iter().map(|id| format!("/products/{id}"));
        let one_in_ten = words.len().div_ceil(9).max(1);
        let narrow: Vec<_> = searches.chain(products.cycle().take(one_in_ten)).collect();
        // Each begins a word of a product, so it finds one.
        let letters: BTreeSet<_> = words
            .iter()
            .filter_map(|word| word.chars().next())
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        let broad = letters.into_iter().map(|letter| format!("/search?q={letter}&limit=100"));
        let broad: Vec<_> = broad.collect();
        let broad = if broad.is_empty() { narrow.clone() } else { broad };
        (!words.is_empty()).then_some(Self { narrow, broad })
    }

    pub(crate) fn narrow(&self, choice: u32) -> &str {
        &self.narrow[choice as usize % self.narrow.len()]
    }

    pub(crate) fn broad(&self, choice: u32) -> &str {
        &self.broad[choice as usize % self.broad.len()]
    }
}

/// Text as one value of a query string.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_word_survives_the_query_string() {
        assert_eq!(encode("serde_json-1.0~"), "serde_json-1.0~");
        assert_eq!(encode("a b&c=d%+ü"), "a%20b%26c%3Dd%25%2B%C3%BC");
    }

    #[test]
    fn broad_searches_are_the_letters_that_words_begin_with() {
        let words = ["Lamp", "light", "axe", "-odd", "ünder"].map(str::to_owned);
        let targets = Targets::new(&words, &[7]).unwrap();
        assert_eq!(targets.broad, ["/search?q=a&limit=100", "/search?q=l&limit=100"]);
        assert_eq!(targets.narrow.last().unwrap(), "/products/7");
        assert!(Targets::new(&[], &[7]).is_none());
    }
}
