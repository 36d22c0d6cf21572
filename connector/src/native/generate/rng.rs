//! Random numbers that depend only on a key, so that any person can be generated again at any time.

/// The key of a random decision: a path of seed, family, role, night and so on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key(u64);

impl Key {
    pub(super) const fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// Returns the key one step further down the path.
    pub(super) const fn with(self, step: u64) -> Self {
        Self(mix(self.0 ^ mix(step)))
    }

    pub(super) const fn rng(self) -> Rng {
        Rng(self.0)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// Returns the key as a UUID of version 4.
    pub(super) fn uuid(self) -> String {
        let (a, b) = (self.0, self.with(0).0);
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | ((b >> 48) & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }
}

/// A random number generator (splitmix64) that starts from a key.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// Returns a number from 0 to below `end`.
    pub(super) const fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_add(STEP);
        (((mix(self.0) >> 32) * end as u64) >> 32) as u32
    }

    /// Returns a number from `first` to `last`, both included.
    pub(super) const fn between(&mut self, first: i32, last: i32) -> i32 {
        first + self.below(last.abs_diff(first) + 1) as i32
    }

    /// Returns true in `share` of a thousand cases.
    pub(super) const fn permille(&mut self, share: u32) -> bool {
        self.below(1000) < share
    }

    /// Returns a random element of a list, which must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u32) as usize]
    }
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
