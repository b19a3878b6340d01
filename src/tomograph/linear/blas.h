#pragma once
#include <string>

namespace tomograph {

/// OpenBLAS has one number of threads for the whole process, so it is set once, to 1: its own threads would
/// change the order of sums, and callers bring theirs. Before the first call of BLAS or LAPACK.
void keep_blas_single_threaded();

/// The library and the kernels that it chose for this processor.
std::string blas_description();

}  // namespace tomograph
