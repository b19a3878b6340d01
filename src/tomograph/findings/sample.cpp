#include "tomograph/findings/sample.h"

#include <algorithm>
#include <numeric>

#include "tomograph/base/random.h"
#include "tomograph/findings/separation.h"

namespace tomograph {

SampleRows draw_sample(const Run& run, std::int64_t rows, std::uint64_t seed,
                       std::span<const std::uint8_t> left_out) {
    SampleRows sample;
    const TokenTable& tokens = run.tokens();
    const bool leave_first_out = run.length() > 1;
    std::vector<std::int64_t> candidates;
    std::int32_t n_sequences = 0;
    for (const std::int32_t sequence : tokens.sequence) n_sequences = std::max(n_sequences, sequence + 1);
    sample.group_of_sequence.assign(static_cast<std::size_t>(n_sequences), -1);
    for (std::int64_t row = 0; row < run.n_rows(); ++row) {
        if (left_out[static_cast<std::size_t>(row)] != 0) continue;
        const auto token = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)]);
        if (leave_first_out && tokens.position[token] == 0) {
            sample.first_rows.push_back(row);
        } else {
            candidates.push_back(row);
            sample.group_of_sequence[static_cast<std::size_t>(tokens.sequence[token])] = 0;
        }
    }
    const auto used = std::count(sample.group_of_sequence.begin(), sample.group_of_sequence.end(), 0);
    sample.n_groups = static_cast<int>(std::min<std::ptrdiff_t>(used, kMostGroups));
    std::int64_t index = 0;
    for (std::int32_t& group : sample.group_of_sequence) {
        if (group == 0) group = static_cast<std::int32_t>(index++ * sample.n_groups / used);
    }
    const auto group_of = [&](std::int64_t row) {
        const auto token = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)]);
        return sample.group_of_sequence[static_cast<std::size_t>(tokens.sequence[token])];
    };
    sample.n_candidates = static_cast<std::int64_t>(candidates.size());
    for (const std::int64_t i : sample_indices(sample.n_candidates, rows, mix(seed, 0x5a3)))
        sample.rows.push_back(candidates[static_cast<std::size_t>(i)]);
    std::stable_sort(sample.rows.begin(), sample.rows.end(),
                     [&](std::int64_t a, std::int64_t b) { return group_of(a) < group_of(b); });
    for (const std::int64_t row : sample.rows) sample.group.push_back(group_of(row));
    return sample;
}

Matrix read_sample(const Run& run, const Site& site, const std::vector<std::int64_t>& rows) {
    Matrix values(static_cast<Eigen::Index>(rows.size()), run.site(site).width());
    for (std::size_t i = 0; i < rows.size();) {
        std::size_t end = i + 1;
        while (end < rows.size() && rows[end] == rows[i] + static_cast<std::int64_t>(end - i)) ++end;
        run.read_rows(site, rows[i], rows[i] + static_cast<std::int64_t>(end - i),
                      values.row(static_cast<Eigen::Index>(i)).data());
        i = end;
    }
    return values;
}

std::vector<int> headline_layers(int n_layers) {
    constexpr std::int64_t kMost = 8;
    const Range middle = middle_layers(n_layers);
    const std::int64_t count = *middle.end - middle.begin, n = std::min(count, kMost);
    std::vector<int> layers;
    for (std::int64_t i = 0; i < n; ++i)
        layers.push_back(static_cast<int>(middle.begin + (2 * i + 1) * count / (2 * n)));
    return layers;
}

std::vector<Site> vector_sites(const Run& run) {
    std::vector<Site> sites;
    for (const SiteShape& shape : run.sites()) {
        if (shape.width() == run.d_model() && run.has_vectors(shape.site)) sites.push_back(shape.site);
    }
    return sites;
}

}  // namespace tomograph
