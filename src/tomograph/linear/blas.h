#pragma once
#include <string>

namespace tomograph {

/// OpenBLAS has one number of threads for the whole process, so it is set once, to 1: its own threads would
/// change the order of sums, and callers bring theirs. Before the first call of BLAS or LAPACK.
void keep_blas_single_threaded();

/// Does OpenBLAS compute with float units as wide as AVX2's, or as AVX-512's? A release that is older than
/// the processor may know nothing better for it than SSE2.
bool blas_is_wide(bool avx512);

/// Are they those for AVX2?
bool blas_has_avx2_kernels();

/// The library and the kernels that it chose for this processor.
std::string blas_description();

}  // namespace tomograph
