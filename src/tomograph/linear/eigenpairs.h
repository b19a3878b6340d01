#pragma once
#include "tomograph/base/matrix.h"

namespace tomograph {

/// Eigenpairs of a symmetric matrix, largest eigenvalue first.
struct Eigenpairs {
    VectorD values;   // [k]
    MatrixD vectors;  // [k, d]
};

/// All of them, by LAPACK's divide and conquer on one thread. `task`: what fails if it does, for the Error.
Eigenpairs all_eigenpairs(const MatrixD& symmetric, const char* task);

}  // namespace tomograph
