//! Numbers as text (RFC 4648, section 4).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Lines of 96 characters, of 18 numbers each, as little-endian `f32`.
pub(super) fn lines(values: &[f32]) -> Vec<String> {
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    values.chunks(18).map(|values| encode(&bytes(values))).collect()
}

fn encode(bytes: &[u8]) -> String {
    bytes.chunks(3).flat_map(quad).collect()
}

/// Three bytes or fewer as four characters.
fn quad(bytes: &[u8]) -> [char; 4] {
    let bits =
        (0..3).fold(0_usize, |bits, i| bits << 8 | bytes.get(i).map_or(0, |x| usize::from(*x)));
    [0, 1, 2, 3].map(|place| {
        let sextet = bits >> (18 - 6 * place) & 63;
        match place <= bytes.len() {
            true => ALPHABET.get(sextet).map_or('=', |letter| char::from(*letter)),
            false => '=',
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn the_test_vectors_of_the_standard() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (text, expected) in vectors {
            assert_eq!(encode(text.as_bytes()), expected);
        }
    }

    /// 1 is 0x3f800000.
    #[test]
    fn numbers_are_little_endian() {
        assert_eq!(lines(&[1.0]), ["AACAPw=="]);
        assert_eq!(lines(&[0.0; 40]).iter().map(String::len).collect::<Vec<_>>(), [96, 96, 24]);
    }
}
