#include "tomograph/capture/sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/matrix.h"

namespace tomograph {
namespace {

std::vector<TensorSpec> norm_specs(const CapturePlan& plan, std::span<const SiteShape> sites) {
    std::vector<TensorSpec> specs;
    for (const std::size_t site : plan.sites)
        specs.push_back({sites[site].site.name(), Dtype::f32, {plan.n_tokens}});
    return specs;
}

TensorSpec row_spec(const SiteShape& site, std::int64_t n_rows, Dtype dtype) {
    TensorSpec spec{site.site.name(), dtype, {n_rows}};
    spec.shape.insert(spec.shape.end(), site.shape.begin(), site.shape.end());
    return spec;
}

std::vector<TensorSpec> mean_specs(const CapturePlan& plan, std::span<const SiteShape> sites) {
    std::vector<TensorSpec> specs;
    for (const std::size_t site : plan.sites) specs.push_back(row_spec(sites[site], plan.length, Dtype::f32));
    return specs;
}

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

}  // namespace

StatsSink::StatsSink(const std::filesystem::path& folder, const CapturePlan& plan,
                     std::span<const SiteShape> sites)
    : plan_(plan),
      norms_(folder / "norms.safetensors", norm_specs(plan, sites)),
      means_(folder / "means.safetensors", mean_specs(plan, sites)) {
    const int descriptor = ::open(means_.temporary().c_str(), O_RDWR | O_CLOEXEC);
    void* address = descriptor < 0 ? MAP_FAILED
                                   : ::mmap(nullptr, means_.file_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
                                            descriptor, 0);
    const int error = errno;
    if (descriptor >= 0) ::close(descriptor);
    if (address == MAP_FAILED)
        throw Error("cannot map " + means_.temporary().string(), std::strerror(error), "");
    mapped_ = static_cast<std::byte*>(address);
}

StatsSink::~StatsSink() {
    if (mapped_ != nullptr) ::munmap(mapped_, means_.file_bytes());
}

void StatsSink::take(std::size_t site, std::int64_t first, std::int64_t n, std::int64_t width,
                     const float* values) {
    row_norms_.resize(static_cast<std::size_t>(n));
    auto* means = reinterpret_cast<float*>(mapped_ + means_.file_offset(site));
    for (std::int64_t i = 0; i < n; ++i) {
        const auto token = static_cast<std::size_t>(first + i);
        const Eigen::Map<const Eigen::ArrayXf> row(values + i * width, width);
        row_norms_[static_cast<std::size_t>(i)] = std::sqrt(row.square().sum());
        const std::int32_t count = plan_.mean_count[token];
        if (count == 0) continue;
        Eigen::Map<Eigen::ArrayXf> mean(means + plan_.position[token] * width, width);
        if (count == 1)
            mean = row;
        else
            mean += (row - mean) * (1.0f / static_cast<float>(count));
    }
    norms_.write(site, static_cast<std::uint64_t>(first) * sizeof(float), row_norms_.data(),
                 row_norms_.size() * sizeof(float));
}

void StatsSink::finish() {
    ::munmap(std::exchange(mapped_, nullptr), means_.file_bytes());
    norms_.finish();
    means_.finish();
}

ShardSink::ShardSink(const std::filesystem::path& path, const CapturePlan& plan,
                     const CapturePlan::Shard& shard, std::span<const SiteShape> sites, Dtype dtype,
                     WriteQueue& queue)
    : path_(path),
      plan_(plan),
      sites_(sites),
      dtype_(dtype),
      queue_(queue),
      first_token_(plan.batches[shard.first_batch].first_token),
      n_rows_(shard.n_rows) {
    std::vector<TensorSpec> specs;
    tensor_of_site_.assign(plan.sites.size(), -1);
    for (const std::size_t position : plan.stored) {
        tensor_of_site_[position] = static_cast<int>(specs.size());
        specs.push_back(row_spec(sites[plan.sites[position]], shard.n_rows, dtype));
    }
    specs.push_back({"rows", Dtype::i32, {shard.n_rows}});
    file_ = std::make_shared<SafetensorsWriter>(path, specs);
    std::vector<std::int32_t> rows;
    const auto& last = plan.batches[shard.first_batch + shard.n_batches - 1];
    for (std::int64_t token = first_token_; token < last.first_token + last.n_tokens; ++token) {
        row_of_token_.push_back(static_cast<std::int32_t>(rows.size()));
        if (plan.kept[static_cast<std::size_t>(token)]) rows.push_back(static_cast<std::int32_t>(token));
    }
    file_->write(specs.size() - 1, 0, rows.data(), rows.size() * sizeof(std::int32_t));
}

void ShardSink::take(std::size_t site, std::int64_t first, std::int64_t n, std::int64_t width,
                     const float* values) {
    if (tensor_of_site_[site] < 0) return;
    const auto tensor = static_cast<std::size_t>(tensor_of_site_[site]);
    const std::size_t row_bytes = static_cast<std::size_t>(width) * dtype_size(dtype_);
    WriteQueue::Buffer buffer = queue_.acquire(static_cast<std::size_t>(n) * row_bytes);
    std::size_t used = 0;
    for (std::int64_t i = 0; i < n;) {
        const auto kept = [&](std::int64_t token) {
            return plan_.kept[static_cast<std::size_t>(first + token)] != 0;
        };
        std::int64_t end = i;
        while (end < n && kept(end)) ++end;
        if (end == i) {
            ++i;
            continue;
        }
        const auto count = static_cast<std::size_t>((end - i) * width);
        if (!convert(dtype_, values + i * width, buffer.data() + used, count)) {
            std::int64_t bad = i * width;
            while (!(std::abs(values[bad]) >= kF16Overflow && std::isfinite(values[bad]))) ++bad;
            const std::int64_t token = first + bad / width;
            throw Error(fmt::format("{} holds {:.0f} at token {} (position {})",
                                    sites_[plan_.sites[site]].site.name(), values[bad], token,
                                    plan_.position[static_cast<std::size_t>(token)]),
                        "float16 ends at 65,504", "use --dtype f32");
        }
        used += count * dtype_size(dtype_);
        i = end;
    }
    if (used == 0) return;
    buffer.resize(used);
    const std::int64_t row = row_of_token_[static_cast<std::size_t>(first - first_token_)];
    const std::uint64_t offset = static_cast<std::uint64_t>(row) * row_bytes;
    queue_.submit(std::move(buffer), [file = file_, tensor, offset](const WriteQueue::Buffer& bytes) {
        file->write(tensor, offset, bytes.data(), bytes.size());
    });
}

Json ShardSink::finish() {
    queue_.drain();
    const std::string checksum = xxh3_128(MappedFile(file_->temporary()).bytes());
    file_->finish();
    return {{"file", "vectors/" + path_.filename().string()},
            {"rows", n_rows_},
            {"bytes", file_->file_bytes()},
            {"xxh3_128", checksum}};
}

}  // namespace tomograph
