//! A text as the words that make it itself, their n-grams, and its hash.

use sha2::{Digest, Sha256};

/// Words in an n-gram. With 13 (GPT-3's, arXiv:2005.14165, appendix C) questions about one short passage are missed;
/// with 5 the ways of saying a question ("which of the following is true about the") are taken for content.
pub const NGRAM_WORDS: usize = 8;

/// Two texts are near duplicates when this share of the n-grams of the one with fewer is in both.
///
/// Questions about one passage share 0.3 to 0.9 (CosmosQA: more than 0.5), two puzzles of one BIG-bench template mostly
/// less than 0.3, unrelated documents of one task less than 0.1 and rarely up to 0.2.
pub const NEAR_DUPLICATE: f64 = 0.3;

/// Hash of what a text says: the first eight bytes of the SHA-256 of its words.
///
/// The words are in lower case, without punctuation and spacing, so texts that differ in these only have the same hash, on
/// every machine. Operators and brackets are words, since there are documents of nothing else.
pub fn content_hash(text: &str) -> u64 {
    let mut words = String::with_capacity(text.len() + 1);
    for_each_word(text, |word| {
        words.push_str(word);
        words.push(' ');
    });
    let digest: [u8; 32] = Sha256::digest(&words).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Hashes of the distinct n-grams of a text, ascending; of the whole text if it has fewer than [`NGRAM_WORDS`].
pub(super) fn ngrams(text: &str) -> Vec<u64> {
    let mut hashes = Vec::with_capacity(text.len() / 5);
    for_each_word(text, |word| hashes.push(fnv1a(word.as_bytes())));
    let length = hashes.len().clamp(1, NGRAM_WORDS);
    let mut ngrams: Vec<u64> = hashes.windows(length).map(in_order).collect();
    ngrams.sort_unstable();
    ngrams.dedup();
    ngrams
}

/// Calls `visit` with the words of a text; one that has none is itself a word, so that "?!" and ":-)" are two documents.
pub(super) fn for_each_word(text: &str, mut visit: impl FnMut(&str)) {
    let mut word = String::new();
    let mut any = false;
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            visit(word);
            word.clear();
        }
    };
    for c in text.chars() {
        let kind = kind(c);
        any |= matches!(kind, Kind::Letter | Kind::Alone);
        match kind {
            Kind::Letter => lower(c, &mut word),
            Kind::Alone => {
                end(&mut word);
                lower(c, &mut word);
                end(&mut word);
            }
            Kind::Gap => end(&mut word),
            Kind::Nothing => {}
        }
    }
    end(&mut word);
    if !any {
        word.extend(text.split_whitespace());
        end(&mut word);
    }
}

/// What a character is to the words around it.
enum Kind {
    /// Part of a word.
    Letter,
    /// A word of its own.
    Alone,
    /// Between words.
    Gap,
    /// Left out.
    Nothing,
}

fn kind(c: char) -> Kind {
    match c {
        _ if c.is_ascii_alphanumeric() => Kind::Letter,
        ' ' | '\n' => Kind::Gap,
        _ if joins(c) => Kind::Nothing,
        _ if is_operator(c) || has_no_spaces(c) => Kind::Alone,
        _ if c.is_alphanumeric() => Kind::Letter,
        _ => Kind::Gap,
    }
}

fn lower(c: char, word: &mut String) {
    match c.is_ascii() {
        true => word.push(c.to_ascii_lowercase()),
        false => word.extend(c.to_lowercase()),
    }
}

/// Left out without ending the word: apostrophes, soft hyphens, joiners, the byte order mark.
fn joins(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// What BIG-bench Hard's `dyck_languages` and formulae are made of. The minus is not among them: it looks like a dash.
fn is_operator(c: char) -> bool {
    const OPERATORS: &str = "()[]{}<>+*/\\^=|~&%$±×÷";
    OPERATORS.contains(c) || (matches!(c, '\u{2190}'..='\u{22ff}') && c != '\u{2212}')
}

/// Letters of scripts that do not set words apart: Thai, Lao, Burmese, Khmer, kana, Chinese characters. Each is a word.
fn has_no_spaces(c: char) -> bool {
    let range = matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}');
    range && c.is_alphanumeric()
}

/// FNV-1a with 64 bits (Fowler, Noll, Vo).
pub fn fnv1a<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Words' hashes to one: multiply, add, and SplitMix64's finalizer (Steele, Lea, Flood, OOPSLA 2014) after every word.
fn in_order(words: &[u64]) -> u64 {
    words.iter().fold(words.len() as u64, |hash, &word| {
        mix(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(word))
    })
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
