//! Run-time choice of vector instructions.

use pulp::NullaryFnOnce;

/// A loop nest to be compiled once per instruction set.
pub trait Kernel {
    /// What the loops return.
    type Output;
    /// Must be `#[inline(always)]`, and so must all that it calls: only then is it compiled for the instruction set.
    fn run(self) -> Self::Output;
}

struct Compiled<K>(K);

impl<K: Kernel> NullaryFnOnce for Compiled<K> {
    type Output = K::Output;
    #[inline(always)]
    fn call(self) -> K::Output {
        self.0.run()
    }
}

/// Runs `kernel` with the widest instructions that this processor has.
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(avx512) = pulp::x86::V4::try_new() {
            return avx512.vectorize(Compiled(kernel));
        }
        if let Some(avx2) = pulp::x86::V3::try_new() {
            return avx2.vectorize(Compiled(kernel));
        }
    }
    pulp::Arch::new().dispatch(Compiled(kernel))
}

/// The same for a closure, which must be `move`: a number that it holds by reference is read anew for every element. The
/// compiler inlines it (no attribute can force that).
pub fn vectorize<R>(loops: impl FnOnce() -> R) -> R {
    struct Loops<F>(F);
    impl<R, F: FnOnce() -> R> Kernel for Loops<F> {
        type Output = R;
        #[inline(always)]
        fn run(self) -> R {
            (self.0)()
        }
    }
    dispatch(Loops(loops))
}
