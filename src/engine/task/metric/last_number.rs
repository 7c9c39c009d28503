//! The last number of a text, as the answers of GSM8K and MAWPS are read.

/// A decimal number, exactly: `±digits·10^exponent`, without zeros at either end of the digits.
#[derive(Debug, PartialEq, Eq)]
struct Number {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Number {
    fn new(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Number {
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_end_matches('0');
        let zeros = digits.len() - significant.len();
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Number { negative: false, digits: String::new(), exponent: 0 };
        }
        let exponent = exponent - fraction.len() as i64 + zeros as i64;
        Number { negative, digits: significant.to_owned(), exponent }
    }
}

/// Splits after the leading digits.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// The whole part, with the commas that group digits taken out: groups of two or three, the last of three, so that 1,234 and
/// 1,00,000 are one number each, and 1,2 and 12,34 are two.
fn whole(text: &str) -> (String, &str) {
    let (first, mut rest) = digits(text);
    let mut accepted = (first.to_owned(), rest);
    let mut grouped = first.to_owned();
    while let Some(after) = rest.strip_prefix(',')
        && (1..=3).contains(&first.len())
    {
        let (group, left) = digits(after);
        grouped.push_str(group);
        rest = left;
        match group.len() {
            3 => accepted = (grouped.clone(), left),
            2 => {}
            _ => break,
        }
    }
    accepted
}

fn fraction(text: &str) -> (&str, &str) {
    match text.strip_prefix('.').map(digits) {
        Some((found, rest)) if !found.is_empty() => (found, rest),
        _ => ("", text),
    }
}

/// A power of ten as in `1e-5`, if no letter or digit follows.
fn exponent(text: &str) -> (i64, &str) {
    let Some(signed) = text.strip_prefix(['e', 'E']) else { return (0, text) };
    let (found, rest) = digits(signed.strip_prefix(['+', '-']).unwrap_or(signed));
    let ends = !rest.starts_with(char::is_alphanumeric);
    // up to nine digits: far from where adding to it could overflow
    match found.parse::<i64>() {
        Ok(size) if ends && found.len() <= 9 => {
            (if signed.starts_with('-') { -size } else { size }, rest)
        }
        _ => (0, text),
    }
}

/// Whether what stands before a number makes it negative: a minus sign that subtracts from nothing. "10-5" ends in 5.
fn is_negative(before: &str) -> bool {
    let before = before.strip_suffix(['$', '€', '£', '¥']).unwrap_or(before);
    before.strip_suffix(['-', '\u{2212}']).is_some_and(|left| {
        !left.ends_with(|character: char| character.is_alphanumeric() || character == ')')
    })
}

/// Where the next number begins: a digit, or a point before one.
fn start(text: &str, from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let digit = from + rest.find(|character: char| character.is_ascii_digit())?;
    let point = text.get(..digit)?.strip_suffix('.');
    let leads = |left: &str| left.len() >= from && !left.ends_with(|c: char| c.is_ascii_digit());
    Some(point.filter(|left| leads(left)).map_or(digit, str::len))
}

fn last(text: &str) -> Option<Number> {
    let (mut found, mut from) = (None, 0);
    while let Some(start) = start(text, from) {
        let (before, number) = text.split_at(start);
        let (whole, rest) = whole(number);
        let (fraction, rest) = fraction(rest);
        let (exponent, rest) = exponent(rest);
        found = Some(Number::new(is_negative(before), &whole, fraction, exponent));
        from = text.len() - rest.len();
    }
    found
}

/// 1 if both texts have a number and the last of each are equal as numbers, else 0.
pub(super) fn last_number(reference: &str, candidate: &str) -> f64 {
    let same = last(reference).is_some_and(|number| last(candidate) == Some(number));
    f64::from(u8::from(same))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(a: &str, b: &str) -> bool {
        last_number(a, b) == 1.0
    }

    #[test]
    fn equal_as_numbers() {
        for (a, b) in [
            ("72", "Natalia sold 48/2 = 24 clips.\n#### 72"),
            ("1234", "that makes $1,234.00."),
            ("100000", "₹1,00,000 in all"),
            ("7.5", "so 7.50 in total."),
            (".5", "x = 0.5"),
            ("0.5", "half is .5!"),
            ("-3", "between 5 and -3"),
            ("-3", "the loss is -$3"),
            ("-3", "(\u{2212}3)"),
            ("0", "-0.00"),
            ("1500", "1.5e3"),
            ("0.00002", "2E-5 m"),
            ("12345678901234567890", "12,345,678,901,234,567,890"),
            ("5", "10-5"),
            ("3", "version 1.2.3"),
            ("2", "1,2"),
            ("34", "12,34"),
            ("4", "in 2e, 3ex, 4"),
            ("2", "H2O"),
        ] {
            assert!(same(a, b), "{a} and {b}: {:?}, {:?}", last(a), last(b));
        }
    }

    #[test]
    fn different() {
        for (a, b) in [
            ("72", "72 and then 73"),
            ("9007199254740993", "9007199254740992"), // one double
            ("1", "10"),
            ("5", "-5"),
            ("none", "none"),
            ("1", ""),
            ("", "1"),
            ("1e999", "1e998"),
        ] {
            assert!(!same(a, b), "{a} and {b}: {:?}, {:?}", last(a), last(b));
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(a in "\\PC{0,30}|[-0-9.,eE+$ ]{0,30}") {
            prop_assert_eq!(last_number(&a, &a), f64::from(u8::from(last(&a).is_some())));
        }

        #[test]
        fn decimals_are_read_back(number in -1.0e15..1.0e15f64) {
            let read = last(&format!("= {number} .")).unwrap();
            let sign = if read.negative { "-" } else { "" };
            let text = format!("{sign}0{}e{}", read.digits, read.exponent);
            prop_assert_eq!(text.parse::<f64>().unwrap(), number);
        }

        #[test]
        fn grouping_changes_nothing(number in any::<i64>()) {
            let digits = number.unsigned_abs().to_string();
            let mut grouped = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place) % 3 == 0 {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            let sign = if number < 0 { "-" } else { "" };
            let text = format!("It is {sign}{grouped}.");
            prop_assert!(same(&number.to_string(), &text));
        }
    }
}
