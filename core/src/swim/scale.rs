//! Logarithms in whole numbers: the same on every machine.

/// log2 of a number of at least 1, in thousandths, rounded down.
pub(crate) fn log2_milli(value: u64) -> u64 {
    assert!(value > 0, "zero has no logarithm");
    let whole = value.ilog2();
    // The mantissa is in [1, 2) with 32 bits of fraction; each squaring yields one more bit.
    let mut mantissa = (u128::from(value) << 32) >> whole;
    let mut fraction = 0_u64;
    for _ in 0..16 {
        mantissa = (mantissa * mantissa) >> 32;
        fraction <<= 1;
        if mantissa >= 2 << 32 {
            mantissa >>= 1;
            fraction |= 1;
        }
    }
    u64::from(whole) * 1_000 + ((fraction * 1_000) >> 16)
}

/// log10 of a number of at least 1, in thousandths, rounded down.
pub(crate) fn log10_milli(value: u64) -> u64 {
    log2_milli(value) * 30_103 / 100_000
}

/// How many bits a number needs: log2 of one more, rounded up.
pub(crate) fn bits(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_close_to_the_real_ones() {
        for (value, log2, log10) in
            [(1, 0, 0), (2, 1_000, 301), (3, 1_584, 476), (10, 3_321, 999), (1_000, 9_965, 2_999)]
        {
            assert!(log2_milli(value).abs_diff(log2) <= 1, "log2({value})");
            assert!(log10_milli(value).abs_diff(log10) <= 1, "log10({value})");
        }
        assert_eq!((bits(1), bits(3), bits(4), bits(1_000)), (1, 2, 3, 10));
    }
}
