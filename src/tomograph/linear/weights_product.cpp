#include "tomograph/linear/weights_product.h"

#include <cblas.h>

#include <algorithm>

#include "tomograph/base/threads.h"
#include "tomograph/linear/blas.h"

namespace tomograph {
namespace {

// A slice below this many weights or rows costs more in packing than it saves in waiting. (AVX2: 48 rows in
// two slices take two thirds of the time of one.)
constexpr std::int64_t kSlice = 96, kNarrowSlice = 24;
// Slices begin where OpenBLAS's own tiles do: sums keep their order.
constexpr std::int64_t kGrain = 48, kNarrowGrain = 12;

// OpenBLAS ends the process where more callers at once want memory than it has places for, some two for each
// of its 64 threads.
constexpr int kMostCallers = 64;

struct Range {
    std::int64_t begin, end;
};

/// Part `part` of `parts` of [0, n), beginning at a multiple of `grain`.
Range slice(std::int64_t n, std::int64_t part, std::int64_t parts, std::int64_t grain) {
    const std::int64_t grains = (n + grain - 1) / grain;
    return {std::min(n, grains * part / parts * grain), std::min(n, grains * (part + 1) / parts * grain)};
}

/// Into how many slices rows and weights are cut. Each thread packs all of what it does not have a slice of.
struct Cut {
    std::int64_t rows, weights, grain;
};

Cut cut(std::int64_t n, std::int64_t m, std::int64_t threads) {
    const auto slices = [](std::int64_t extent, std::int64_t least, std::int64_t most) {
        return std::clamp<std::int64_t>(extent / least, 1, most);
    };
    // There a sum of products has another order in every second tile of weights, counted from the first.
    if (blas_has_avx2_kernels()) return {slices(n, kNarrowSlice, threads), 1, kNarrowGrain};
    const std::int64_t first = slices(std::max(n, m), kSlice, threads);
    const std::int64_t second = slices(std::min(n, m), kSlice, threads / first);
    return m < n ? Cut{first, second, kGrain} : Cut{second, first, kGrain};
}

}  // namespace

void multiply_by_weights(const float* rows, const float* weights, float* out, std::int64_t n, std::int64_t m,
                         std::int64_t k, int threads) {
    keep_blas_single_threaded();
    threads = std::min(threads, kMostCallers);
    const Cut pieces = cut(n, m, threads);
    fork_join(threads, [&](int part, int n_parts) {
        for (std::int64_t piece = part; piece < pieces.rows * pieces.weights; piece += n_parts) {
            const Range of_weights = slice(m, piece % pieces.weights, pieces.weights, pieces.grain);
            const Range of_rows = slice(n, piece / pieces.weights, pieces.rows, pieces.grain);
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
