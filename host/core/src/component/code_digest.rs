//! The digest of the machine code that is built into this crate. The build script reads this file too.

/// The number of parts that are hashed beside each other. One alone would wait for each multiplication.
const LANES: usize = 4;

/// The bytes of a word.
const WORD: usize = 8;

/// An odd number, so that multiplying by it loses nothing.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns the digest of these bytes.
///
/// It finds damage, not attacks: an attacker who can change the code can also change the digest beside it. Therefore it
/// is not cryptographic and takes a fraction of a millisecond. Each step maps different states to different states, so
/// a change within one word of 8 bytes always changes the digest. Any other change is missed once in 2⁶⁴ cases.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mut lanes: [u64; LANES] = [1, 2, 3, 4];
    let mut blocks = bytes.chunks_exact(LANES * WORD);
    for block in &mut blocks {
        let (words, _) = block.as_chunks::<WORD>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = step(*lane, u64::from_le_bytes(*word));
        }
    }
    let mut digest = bytes.len() as u64;
    for rest in blocks.remainder().chunks(WORD) {
        let mut word = [0; WORD];
        word[..rest.len()].copy_from_slice(rest);
        digest = step(digest, u64::from_le_bytes(word));
    }
    lanes.into_iter().fold(digest, step)
}

/// Adds a word to a state.
fn step(state: u64, word: u64) -> u64 {
    (state ^ word).wrapping_mul(FACTOR).rotate_left(29)
}
