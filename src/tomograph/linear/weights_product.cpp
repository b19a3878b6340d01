#include "tomograph/linear/weights_product.h"

#include <cblas.h>

#include <algorithm>

#include "tomograph/base/threads.h"
#include "tomograph/linear/blas.h"

namespace tomograph {
namespace {

// A slice below this many weights or rows costs more in packing than it saves in waiting.
constexpr std::int64_t kSlice = 96;
// Slices begin where OpenBLAS's own tiles do, whatever their width: sums keep their order.
constexpr std::int64_t kGrain = 48;

// OpenBLAS ends the process where more callers at once want memory than it has places for, some two for each of
// its 64 threads.
constexpr int kMostCallers = 64;

struct Range {
    std::int64_t begin, end;
};

/// Part `part` of `parts` of [0, n), beginning at a multiple of kGrain.
Range slice(std::int64_t n, std::int64_t part, std::int64_t parts) {
    const std::int64_t grains = (n + kGrain - 1) / kGrain;
    return {std::min(n, grains * part / parts * kGrain), std::min(n, grains * (part + 1) / parts * kGrain)};
}

}  // namespace

void multiply_by_weights(const float* rows, const float* weights, float* out, std::int64_t n, std::int64_t m,
                         std::int64_t k, int threads) {
    keep_blas_single_threaded();
    threads = std::min(threads, kMostCallers);
    const std::int64_t by_weights = std::clamp<std::int64_t>(m / kSlice, 1, threads);
    const std::int64_t by_rows = std::clamp<std::int64_t>(n / kSlice, 1, threads / by_weights);
    fork_join(threads, [&](int part, int n_parts) {
        for (std::int64_t piece = part; piece < by_weights * by_rows; piece += n_parts) {
            const Range of_weights = slice(m, piece % by_weights, by_weights);
            const Range of_rows = slice(n, piece / by_weights, by_rows);
            if (of_weights.begin == of_weights.end || of_rows.begin == of_rows.end) continue;
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans,
                        static_cast<blasint>(of_rows.end - of_rows.begin),
                        static_cast<blasint>(of_weights.end - of_weights.begin), static_cast<blasint>(k), 1,
                        rows + of_rows.begin * k, static_cast<blasint>(k), weights + of_weights.begin * k,
                        static_cast<blasint>(k), 0, out + of_rows.begin * m + of_weights.begin,
                        static_cast<blasint>(m));
        }
    });
}

}  // namespace tomograph
