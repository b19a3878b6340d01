#include "tomograph/store/shard_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <future>
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
    // Small enough that what was summed is still in the cache when it is rounded.
    constexpr std::int64_t kBlockNumbers = 1 << 13;
    const std::int64_t width = plan_.sites[site].width();
    const std::int64_t in_shard = first - manifest_.tokens.begin;
    const int threads = threads_for(n * width);
    const bool by_rows = plan_.means && !plan_.basis && sums_.apart(in_shard, n);
    if (plan_.means) sums_.open(site);
    if (plan_.means && !by_rows) {
        // Tokens of one position meet in one sum: then each thread has its own coordinates.
        const float* summed = plan_.basis ? scored.scores : values;
        const std::int64_t summed_width = plan_.basis ? plan_.basis->sites[site].rank() : width;
        fork_join(threads, [&](int part, int n_parts) {
            sums_.add(site, in_shard, n, summed, share(summed_width, part, n_parts),
                      share(summed_width, part + 1, n_parts));
        });
    }
    const bool keeps = vectors_ && tensor_of_site_[site] >= 0;
    std::optional<Rows> rows;
    if (keeps && !plan_.basis) rows = begin_rows(site, first, n, width);
    WriteQueue::Buffer norms = queue_.acquire(static_cast<std::size_t>(n) * sizeof(float));
    fork_join(threads, [&](int part, int n_parts) {
        const std::int64_t end = share(n, part + 1, n_parts);
        const std::int64_t step = std::max<std::int64_t>(1, kBlockNumbers / width);
        for (std::int64_t begin = share(n, part, n_parts); begin < end; begin += step) {
            const std::int64_t stop = std::min(end, begin + step);
            if (by_rows)
                sums_.add(site, in_shard + begin, stop - begin, values + begin * width, 0, width);
            for (std::int64_t i = begin; i < stop; ++i) {
                const float norm =
                    std::sqrt(Eigen::Map<const Eigen::ArrayXf>(values + i * width, width).square().sum());
                std::memcpy(norms.data() + static_cast<std::size_t>(i) * sizeof(float), &norm, sizeof norm);
            }
            if (rows) convert_rows(*rows, begin, stop, values, part);
        }
    });
    queue_.submit(std::move(norms), [file = stats_, site, in_shard](const WriteQueue::Buffer& bytes) {
        file->write(site, static_cast<std::uint64_t>(in_shard) * sizeof(float), bytes.data(), bytes.size());
    });
    if (!keeps) return;
    const auto tensor = static_cast<std::size_t>(tensor_of_site_[site]);
    if (rows) return end_rows(std::move(*rows), tensor, values, 1);
    const SiteBasis& basis = plan_.basis->sites[site];
    write_scaled(begin_rows(site, first, n, basis.rank()), tensor, scored.scores, basis.scale);
    write_scaled(begin_rows(site, first, n, 1), tensor + 1, scored.residuals, basis.scale);
}

int ShardWriter::threads_for(std::int64_t numbers) const {
    constexpr std::int64_t kShared = 1 << 15;  // fewer are done sooner than shared out
    return numbers < kShared ? 1 : threads_;
}

ShardWriter::Rows ShardWriter::begin_rows(std::size_t site, std::int64_t first, std::int64_t n,
                                          std::int64_t width) {
    Rows rows{.site = site, .first = first, .n = n, .width = width};
    rows.before.resize(static_cast<std::size_t>(n) + 1);
    for (std::int64_t i = 0; i < n; ++i) {
        const auto token = static_cast<std::size_t>(first + i);
        const bool kept = plan_.kept[token] != 0;
        if (kept && rows.first_row < 0) rows.first_row = plan_.tokens.row[token];
        rows.before[static_cast<std::size_t>(i) + 1] = rows.before[static_cast<std::size_t>(i)] + kept;
    }
    rows.bytes = queue_.acquire(static_cast<std::size_t>(rows.before.back() * width) *
                                dtype_size(*stored_[site]));
    rows.bad.assign(static_cast<std::size_t>(threads_), -1);
    return rows;
}

void ShardWriter::convert_rows(Rows& rows, std::int64_t begin, std::int64_t end, const float* numbers,
                               int part) const {
    std::int64_t& bad = rows.bad[static_cast<std::size_t>(part)];
    if (bad >= 0) return;
    const Dtype dtype = *stored_[rows.site];
    const auto kept = [&](std::int64_t i) { return plan_.kept[static_cast<std::size_t>(rows.first + i)] != 0; };
    const auto done = static_cast<std::size_t>(rows.before[static_cast<std::size_t>(begin)] * rows.width);
    std::byte* out = rows.bytes.data() + done * dtype_size(dtype);
    for (std::int64_t i = begin; i < end;) {
        if (!kept(i)) {
            ++i;
            continue;
        }
        std::int64_t last = i;
        while (last < end && kept(last)) ++last;
        const auto count = static_cast<std::size_t>((last - i) * rows.width);
        if (!convert(dtype, numbers + i * rows.width, out, count)) {
            bad = i * rows.width;
            while (!(std::abs(numbers[bad]) >= kF16Overflow && std::isfinite(numbers[bad]))) ++bad;
            return;
        }
        out += count * dtype_size(dtype);
        i = last;
    }
}

void ShardWriter::write_scaled(Rows rows, std::size_t tensor, const float* numbers, float scale) {
    std::vector<float> scaled;
    if (scale != 1) {
        scaled.resize(static_cast<std::size_t>(rows.n * rows.width));
        for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] = numbers[i] / scale;
        numbers = scaled.data();
    }
    fork_join(threads_for(rows.n * rows.width), [&](int part, int n_parts) {
        convert_rows(rows, share(rows.n, part, n_parts), share(rows.n, part + 1, n_parts), numbers, part);
    });
    end_rows(std::move(rows), tensor, numbers, scale);
}

void ShardWriter::end_rows(Rows rows, std::size_t tensor, const float* numbers, float scale) {
    if (rows.first_row < 0) return;
    const auto worst =
        std::find_if(rows.bad.begin(), rows.bad.end(), [](std::int64_t at) { return at >= 0; });
    if (worst != rows.bad.end()) {
        const std::int64_t token = rows.first + *worst / rows.width;
        throw Float16Overflow(fmt::format("{} holds {:.0f} at token {} (position {})",
                                          plan_.sites[rows.site].site.name(), numbers[*worst] * scale, token,
                                          plan_.tokens.position[static_cast<std::size_t>(token)]),
                              "float16 ends at 65,504", "use --dtype auto, bf16 or f32");
    }
    const std::uint64_t offset = static_cast<std::uint64_t>(rows.first_row - manifest_.rows.begin) *
                                 static_cast<std::uint64_t>(rows.width) * dtype_size(*stored_[rows.site]);
    queue_.submit(std::move(rows.bytes), [file = vectors_, tensor, offset](const WriteQueue::Buffer& bytes) {
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
    struct File {
        SafetensorsWriter* writer;
        std::string name;
        std::future<void> on_disk;
    };
    std::vector<File> files;
    if (vectors_) files.push_back({vectors_.get(), layout::vectors_file(manifest_.number), {}});
    if (moments_) files.push_back({moments_.get(), layout::moments_file(manifest_.number), {}});
    files.push_back({stats_.get(), layout::stats_file(manifest_.number), {}});
    sums_.write(*stats_, plan_.sites.size() + plan_.scores.size());
    // Checksums are made while the disk is waited for.
    for (File& file : files) {
        if (durable) file.on_disk = std::async(std::launch::async, [&file] { file.writer->sync(); });
    }
    for (const File& file : files)
        manifest_.files.push_back(file_entry(file.name, file.writer->temporary()));
    for (File& file : files) {
        if (durable) file.on_disk.get();
        file.writer->finish();
    }
    const std::filesystem::path folder = run_ / layout::kShards;
    if (durable) sync_folder(folder);
    write_text(run_ / layout::manifest_file(manifest_.number), file_text(manifest_.json()), durable);
    if (durable) sync_folder(folder);
    return manifest_;
}

}  // namespace tomograph
