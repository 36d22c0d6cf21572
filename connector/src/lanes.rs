//! Compares sixteen bytes at once.
//!
//! In the component these are WebAssembly's vector instructions. Elsewhere the same results are computed eight bytes at a
//! time with the usual instructions.

/// The number of bytes that are compared at once.
pub(crate) const LANES: usize = 16;

#[cfg(target_family = "wasm")]
pub(crate) use vectors::Lanes;
#[cfg(not(target_family = "wasm"))]
pub(crate) use words::Lanes;

#[cfg(target_family = "wasm")]
mod vectors {
    use core::arch::wasm32::{
        i8x16_bitmask, u8x16_eq, u8x16_ne, u8x16_splat, u64x2, v128, v128_and, v128_or,
    };

    use super::LANES;

    /// Sixteen bytes.
    #[derive(Clone, Copy)]
    pub(crate) struct Lanes(v128);

    impl Lanes {
        /// Sixteen zeros.
        #[inline]
        pub(crate) fn zero() -> Self {
            Self(u8x16_splat(0))
        }

        /// Loads the bytes: one instruction, although it is written as two halves to be safe code.
        #[inline]
        pub(crate) fn load(bytes: &[u8; LANES]) -> Self {
            let bytes = u128::from_le_bytes(*bytes);
            Self(u64x2(bytes as u64, (bytes >> 64) as u64))
        }

        /// Returns the union of the bits of each byte.
        #[inline]
        pub(crate) fn or(self, other: Self) -> Self {
            Self(v128_or(self.0, other.0))
        }

        /// Returns bytes whose highest bit is set where there is a control character: 0x00-0x1F, 0x7F or 0x80-0x9F.
        #[inline]
        pub(crate) fn controls(self) -> Self {
            // Bits 5 and 6 are both clear in 0x00-0x1F and 0x80-0x9F.
            let low_or_c1 = u8x16_eq(v128_and(self.0, u8x16_splat(0x60)), u8x16_splat(0));
            let delete = u8x16_eq(self.0, u8x16_splat(0x7f));
            Self(v128_or(low_or_c1, delete))
        }

        /// Returns a bit for each byte whose highest bit is set.
        #[inline]
        pub(crate) fn high(self) -> u32 {
            i8x16_bitmask(self.0).into()
        }

        /// Returns a bit for each byte that is not this one.
        #[inline]
        pub(crate) fn not_equal(self, byte: u8) -> u32 {
            i8x16_bitmask(u8x16_ne(self.0, u8x16_splat(byte))).into()
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod words {
    use super::LANES;

    /// Sixteen bytes, in two words.
    #[derive(Clone, Copy)]
    pub(crate) struct Lanes(u64, u64);

    /// The highest bit of every byte.
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);

    impl Lanes {
        /// Sixteen zeros.
        #[inline]
        pub(crate) fn zero() -> Self {
            Self(0, 0)
        }

        /// Loads the bytes.
        #[inline]
        pub(crate) fn load(bytes: &[u8; LANES]) -> Self {
            let bytes = u128::from_le_bytes(*bytes);
            Self(bytes as u64, (bytes >> 64) as u64)
        }

        /// Returns the union of the bits of each byte.
        #[inline]
        pub(crate) fn or(self, other: Self) -> Self {
            Self(self.0 | other.0, self.1 | other.1)
        }

        /// Returns bytes whose highest bit is set where there is a control character: 0x00-0x1F, 0x7F or 0x80-0x9F.
        #[inline]
        pub(crate) fn controls(self) -> Self {
            let controls = |word: u64| {
                // Bits 5 and 6 are both clear in 0x00-0x1F and 0x80-0x9F. Only 0x7F carries into its clear highest bit.
                let low_or_c1 = !(word << 1 | word << 2);
                let delete = ((word & !HIGH) + (HIGH >> 7)) & !word;
                (low_or_c1 | delete) & HIGH
            };
            Self(controls(self.0), controls(self.1))
        }

        /// Returns a bit for each byte whose highest bit is set.
        #[inline]
        pub(crate) fn high(self) -> u32 {
            gather(self.0 & HIGH) | gather(self.1 & HIGH) << 8
        }

        /// Returns a bit for each byte that is not this one.
        #[inline]
        pub(crate) fn not_equal(self, byte: u8) -> u32 {
            let differs = |word: u64| {
                let difference = word ^ u64::from_le_bytes([byte; 8]);
                // A byte that is not 0 has its highest bit set, or carries into it.
                (((difference & !HIGH) + !HIGH) | difference) & HIGH
            };
            gather(differs(self.0)) | gather(differs(self.1)) << 8
        }
    }

    /// Gathers the highest bits of the eight bytes; the other bits must be 0.
    #[inline]
    fn gather(high: u64) -> u32 {
        // Each bit is moved to another place of the highest byte, and no two of them meet.
        ((high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::is_control;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn compares_every_byte(bytes: [u8; LANES], other: u8) {
            let lanes = Lanes::load(&bytes);
            let bits = |test: &dyn Fn(u8) -> bool| {
                (0..LANES).fold(0, |mask, lane| mask | u32::from(test(bytes[lane])) << lane)
            };
            prop_assert_eq!(lanes.high(), bits(&|byte| byte >= 0x80));
            prop_assert_eq!(lanes.not_equal(other), bits(&|byte| byte != other));
            prop_assert_eq!(lanes.controls().high(), bits(&is_control));
            let both = lanes.or(Lanes::load(&[other; LANES]));
            prop_assert_eq!(both.high(), bits(&|byte| (byte | other) >= 0x80));
            prop_assert_eq!(Lanes::zero().high(), 0);
        }
    }
}
