#include "tomograph/store/shard_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/threads.h"
#include "tomograph/store/text_file.h"

namespace tomograph {
namespace {

/// Round to the shard's type. Returns false on a float16 overflow.
bool convert(Dtype dtype, const float* in, std::byte* out, std::size_t n) {
    switch (dtype) {
        case Dtype::f16:
            return to_f16(in, reinterpret_cast<std::uint16_t*>(out), n);
        case Dtype::bf16:
            to_bf16(in, reinterpret_cast<std::uint16_t*>(out), n);
            return true;
        default:
            std::memcpy(out, in, n * sizeof(float));
            return true;
    }
}

/// Positions of the shard's tokens, -1 where a token stays out of the means.
std::vector<std::int32_t> mean_positions(const RunPlan& plan, ShardManifest::Span tokens) {
    std::vector<std::int32_t> positions;
    for (std::int64_t t = tokens.begin; t < tokens.end; ++t) {
        const auto i = static_cast<std::size_t>(t);
        const bool outside =
            plan.label_outside_means >= 0 && plan.tokens.label[i] == plan.label_outside_means;
        positions.push_back(outside ? -1 : plan.tokens.position[i]);
    }
    return positions;
}

/// Where a part of `all` begins, of n_parts that are alike.
std::int64_t share(std::int64_t all, int part, int n_parts) {
    return all * part / n_parts;
}

}  // namespace

ShardWriter::ShardWriter(const std::filesystem::path& run, const RunPlan& plan,
                         std::vector<std::optional<Dtype>> stored, const ShardManifest& planned,
                         WriteQueue& queue, int threads)
    : run_(run),
      plan_(plan),
      stored_(std::move(stored)),
      manifest_(planned),
      queue_(queue),
      threads_(threads),
      tensor_of_site_(plan.sites.size(), -1),
      sums_(mean_positions(plan, planned.tokens),
            plan.means ? layout::summed_sites(plan.sites, ranks_of(plan)) : std::vector<SiteShape>{}) {
    const ShardManifest::Span tokens = planned.tokens;
    std::vector<TensorSpec> specs;
    for (std::size_t i = 0; i < plan.sites.size(); ++i) {
        if (!stored_[i]) continue;
        tensor_of_site_[i] = static_cast<int>(specs.size());
        if (!plan.basis) {
            specs.push_back(layout::row_spec(plan.sites[i], manifest_.rows.size(), *stored_[i]));
            continue;
        }
        const std::string name = plan.sites[i].site.name();
        specs.push_back({layout::axis_scores_tensor(name),
                         *stored_[i],
                         {manifest_.rows.size(), plan.basis->sites[i].rank()}});
        specs.push_back({layout::residuals_tensor(name), *stored_[i], {manifest_.rows.size()}});
    }
    if (manifest_.rows.size() > 0 && !specs.empty()) {
        specs.push_back({"rows", Dtype::i32, {manifest_.rows.size()}});
        vectors_ = std::make_shared<SafetensorsWriter>(run / layout::vectors_file(planned.number), specs);
        std::vector<std::int32_t> rows;
        for (std::int64_t t = tokens.begin; t < tokens.end; ++t) {
            if (plan.kept[static_cast<std::size_t>(t)]) rows.push_back(static_cast<std::int32_t>(t));
        }
        vectors_->write(specs.size() - 1, 0, rows.data(), rows.size() * sizeof(std::int32_t));
    }
    specs.clear();
    if (plan.moments) {
        const std::vector<std::int64_t> ranks = ranks_of(plan);
        for (std::size_t i = 0; i < plan.sites.size(); ++i) {
            moments_of_site_.push_back(specs.size());
            for (TensorSpec& spec : moments_specs(plan.sites[i].site.name(), plan.sites[i].width(), ranks[i]))
                specs.push_back(std::move(spec));
        }
        moments_ = std::make_shared<SafetensorsWriter>(run / layout::moments_file(planned.number), specs);
        specs.clear();
    }
    for (const SiteShape& site : plan.sites)
        specs.push_back({layout::norms_tensor(site.site.name()), Dtype::f32, {tokens.size()}});
    for (const std::string& score : plan.scores)
        specs.push_back({layout::scores_tensor(score), Dtype::f32, {tokens.size()}});
    for (TensorSpec& spec : sums_.tensors()) specs.push_back(std::move(spec));
    stats_ = std::make_shared<SafetensorsWriter>(run / layout::stats_file(planned.number), specs);
}

void ShardWriter::take(std::size_t site, std::int64_t first, std::int64_t n, const float* values,
                       const Scored& scored) {
    const std::int64_t width = plan_.sites[site].width();
    const std::int64_t in_shard = first - manifest_.tokens.begin;
    const float* summed = plan_.basis ? scored.scores : values;
    const std::int64_t summed_width = plan_.basis ? plan_.basis->sites[site].rank() : width;
    WriteQueue::Buffer norms = queue_.acquire(static_cast<std::size_t>(n) * sizeof(float));
    if (plan_.means) sums_.open(site);
    fork_join(threads_for(n * width), [&](int part, int n_parts) {
        if (plan_.means)
            sums_.add(site, in_shard, n, summed, share(summed_width, part, n_parts),
                      share(summed_width, part + 1, n_parts));
        for (std::int64_t i = share(n, part, n_parts); i < share(n, part + 1, n_parts); ++i) {
            const float norm =
                std::sqrt(Eigen::Map<const Eigen::ArrayXf>(values + i * width, width).square().sum());
            std::memcpy(norms.data() + static_cast<std::size_t>(i) * sizeof(float), &norm, sizeof norm);
        }
    });
    queue_.submit(std::move(norms), [file = stats_, site, in_shard](const WriteQueue::Buffer& bytes) {
        file->write(site, static_cast<std::uint64_t>(in_shard) * sizeof(float), bytes.data(), bytes.size());
    });

    if (!vectors_ || tensor_of_site_[site] < 0) return;
    const auto tensor = static_cast<std::size_t>(tensor_of_site_[site]);
    if (!plan_.basis) return write_rows(site, tensor, first, n, width, values, 1);
    const SiteBasis& basis = plan_.basis->sites[site];
    write_rows(site, tensor, first, n, basis.rank(), scored.scores, basis.scale);
    write_rows(site, tensor + 1, first, n, 1, scored.residuals, basis.scale);
}

int ShardWriter::threads_for(std::int64_t numbers) const {
    constexpr std::int64_t kShared = 1 << 15;  // fewer are done sooner than shared out
    return numbers < kShared ? 1 : threads_;
}

void ShardWriter::convert_rows(std::size_t site, std::int64_t first, std::int64_t begin, std::int64_t end,
                               std::int64_t width, const float* numbers, std::byte* out,
                               std::int64_t& bad) const {
    const Dtype dtype = *stored_[site];
    const auto kept = [&](std::int64_t token) {
        return plan_.kept[static_cast<std::size_t>(first + token)] != 0;
    };
    for (std::int64_t i = begin; i < end;) {
        if (!kept(i)) {
            ++i;
            continue;
        }
        std::int64_t last = i;
        while (last < end && kept(last)) ++last;
        const auto count = static_cast<std::size_t>((last - i) * width);
        if (!convert(dtype, numbers + i * width, out, count)) {
            bad = i * width;
            while (!(std::abs(numbers[bad]) >= kF16Overflow && std::isfinite(numbers[bad]))) ++bad;
            return;
        }
        out += count * dtype_size(dtype);
        i = last;
    }
}

void ShardWriter::write_rows(std::size_t site, std::size_t tensor, std::int64_t first, std::int64_t n,
                             std::int64_t width, const float* values, float scale) {
    std::vector<float> scaled;
    if (scale != 1) {
        scaled.resize(static_cast<std::size_t>(n * width));
        for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] = values[i] / scale;
        values = scaled.data();
    }
    const std::size_t row_bytes = static_cast<std::size_t>(width) * dtype_size(*stored_[site]);
    // Of each token: how many of the batch before it are kept.
    std::vector<std::int64_t> before(static_cast<std::size_t>(n) + 1, 0);
    std::int64_t first_row = -1;
    for (std::int64_t i = 0; i < n; ++i) {
        const auto token = static_cast<std::size_t>(first + i);
        const bool kept = plan_.kept[token] != 0;
        if (kept && first_row < 0) first_row = plan_.tokens.row[token];
        before[static_cast<std::size_t>(i) + 1] = before[static_cast<std::size_t>(i)] + (kept ? 1 : 0);
    }
    if (first_row < 0) return;
    WriteQueue::Buffer rows = queue_.acquire(static_cast<std::size_t>(before.back()) * row_bytes);
    const int threads = threads_for(n * width);
    std::vector<std::int64_t> bad(static_cast<std::size_t>(threads), -1);
    fork_join(threads, [&](int part, int n_parts) {
        const std::int64_t begin = share(n, part, n_parts), end = share(n, part + 1, n_parts);
        const auto done = static_cast<std::size_t>(before[static_cast<std::size_t>(begin)]);
        convert_rows(site, first, begin, end, width, values, rows.data() + done * row_bytes,
                     bad[static_cast<std::size_t>(part)]);
    });
    const auto worst = std::find_if(bad.begin(), bad.end(), [](std::int64_t at) { return at >= 0; });
    if (worst != bad.end()) {
        const std::int64_t token = first + *worst / width;
        throw Float16Overflow(fmt::format("{} holds {:.0f} at token {} (position {})",
                                          plan_.sites[site].site.name(), values[*worst] * scale, token,
                                          plan_.tokens.position[static_cast<std::size_t>(token)]),
                              "float16 ends at 65,504", "use --dtype auto, bf16 or f32");
    }
    const std::uint64_t offset = static_cast<std::uint64_t>(first_row - manifest_.rows.begin) * row_bytes;
    queue_.submit(std::move(rows), [file = vectors_, tensor, offset](const WriteQueue::Buffer& bytes) {
        file->write(tensor, offset, bytes.data(), bytes.size());
    });
}

void ShardWriter::take_moments(std::size_t site, const SiteMoments& moments) {
    write_moments(*moments_, moments_of_site_[site], moments);
}

void ShardWriter::take_scores(std::size_t score, std::int64_t first, std::int64_t n, const float* values) {
    WriteQueue::Buffer bytes = queue_.acquire(static_cast<std::size_t>(n) * sizeof(float));
    std::memcpy(bytes.data(), values, bytes.size());
    const auto offset = static_cast<std::uint64_t>(first - manifest_.tokens.begin) * sizeof(float);
    queue_.submit(std::move(bytes),
                  [file = stats_, tensor = plan_.sites.size() + score, offset](const WriteQueue::Buffer& b) {
                      file->write(tensor, offset, b.data(), b.size());
                  });
}

ShardManifest ShardWriter::finish(bool durable) {
    sums_.write(*stats_, plan_.sites.size() + plan_.scores.size());
    const auto seal = [&](SafetensorsWriter& file, const std::string& name) {
        manifest_.files.push_back(file_entry(name, file.temporary()));
        if (durable) file.sync();
        file.finish();
    };
    if (vectors_) seal(*vectors_, layout::vectors_file(manifest_.number));
    if (moments_) seal(*moments_, layout::moments_file(manifest_.number));
    seal(*stats_, layout::stats_file(manifest_.number));
    const std::filesystem::path folder = run_ / layout::kShards;
    if (durable) sync_folder(folder);
    write_text(run_ / layout::manifest_file(manifest_.number), file_text(manifest_.json()), durable);
    if (durable) sync_folder(folder);
    return manifest_;
}

}  // namespace tomograph
