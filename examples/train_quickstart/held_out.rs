//! Which question texts are for evaluation only.

/// One question text in four is never trained on; which one depends on the text alone.
pub fn is_held_out(prompt: &str) -> bool {
    fnv1a(prompt.as_bytes()) >> 62 == 0
}

/// 64-bit FNV-1a (Eastlake et al., RFC 9923), spread by a multiplication as its high bits are weak
/// on short texts.
fn fnv1a(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
