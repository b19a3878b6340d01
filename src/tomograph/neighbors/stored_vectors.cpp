#include "tomograph/neighbors/stored_vectors.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/neighbors/distances.h"

namespace tomograph {

StoredVectors::StoredVectors(const PreparedSpace& space, std::int64_t n, const Vector* center)
    : space_(space), n_(n), width_(space.width()), vectors_(make_float_buffer(n * width_)) {
    if (!center) return;
    center_ = *center;
    bytes_.emplace(n, space.dim());
}

void StoredVectors::add(const RowSource& rows, const std::vector<std::int32_t>& position_of, int threads) {
    constexpr std::int64_t block_rows = 768;
    const std::int64_t n = rows.n_rows(), dim = rows.dim();
    parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
        const std::int64_t begin = block * block_rows, end = std::min(begin + block_rows, n);
        FloatBuffer copy;
        if (!rows.data()) {
            copy = make_float_buffer((end - begin) * dim);
            rows.read(begin, end, copy.get());
        }
        const float* values = rows.data() ? rows.data() + begin * dim : copy.get();
        for (std::int64_t row = begin; row < end; ++row, values += dim) {
            const std::int64_t position = position_of[row];
            if (position < 0) continue;
            float* vector = vectors_.get() + position * width_;
            space_.prepare(values, 1, vector);
            if (bytes_) bytes_->set(position, vector, center_);
        }
    });
}

void StoredVectors::drop_coarse_bytes(std::uint64_t seed) {
    if (!bytes_) return;
    constexpr std::int64_t sample = 1000, few = 15;
    constexpr float fewest_steps = 25;
    const std::int64_t n = n_ - few;
    if (n < 1) return bytes_.reset();
    std::vector<float> steps;
    for (const auto p : sample_indices(n, sample, mix(seed, 0x636f))) {
        std::int32_t others[few];
        float squared[few];
        std::iota(others, others + few, static_cast<std::int32_t>(p + 1));
        squared_distances(vectors_.get() + p * width_, vectors_.get(), width_, others, few, squared);
        steps.push_back(std::sqrt(*std::min_element(squared, squared + few)) /
                        std::max(bytes_->step(p), 1e-30f));
    }
    const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
    std::nth_element(steps.begin(), middle, steps.end());
    if (*middle < fewest_steps) bytes_.reset();
}

}  // namespace tomograph
