//! Functions that need the processor's wide registers and its fused multiplication.

/// Defines a function, compiled once more for AVX2 and FMA and run so where the processor has them.
/// Elsewhere `mul_add` gives the same bits, more slowly.
macro_rules! for_best_processor {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        fn $name($($arg: $type),*) {
            #[inline(always)]
            fn portable($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn wide($($arg: $type),*) {
                    portable($($arg),*);
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has what `wide` is compiled for.
                    return unsafe { wide($($arg),*) };
                }
            }
            portable($($arg),*);
        }
    };
}
pub(super) use for_best_processor;
