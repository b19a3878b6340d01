#include "tomograph/intervene/writer.h"

#include <fmt/format.h>

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/random.h"

namespace tomograph {
namespace {

/// Orthonormal rows with the span of `directions` [k, d]; rows that others already span are left out. The
/// first stays the first, so that a plane keeps its sense of rotation.
MatrixD orthonormal(const Matrix& directions) {
    MatrixD basis(0, directions.cols());
    for (Eigen::Index i = 0; i < directions.rows(); ++i) {
        Eigen::RowVectorXd row = directions.row(i).cast<double>();
        const double norm = row.norm();
        for (int pass = 0; pass < 2; ++pass) {
            for (Eigen::Index j = 0; j < basis.rows(); ++j) row -= row.dot(basis.row(j)) * basis.row(j);
        }
        if (row.norm() <= 1e-6 * norm) continue;
        basis.conservativeResize(basis.rows() + 1, Eigen::NoChange);
        basis.row(basis.rows() - 1) = row.normalized();
    }
    return basis;
}

/// Another sequence for each, by seed: a cycle through all of them in random order, so that none is its own.
std::vector<std::int64_t> donors(std::int64_t n, std::uint64_t seed) {
    const auto order = permutation(n, seed);
    std::vector<std::int64_t> donor(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < order.size(); ++i)
        donor[static_cast<std::size_t>(order[i])] = order[(i + 1) % order.size()];
    return donor;
}

/// Errors: Error when what is patched from does not reach there.
void check_patch(std::size_t number, const SiteValues& source, const TokenPlace& place) {
    if (source.n_sequences() > 1 && place.sequence >= source.n_sequences())
        throw Error(fmt::format("act {} cannot be done", number),
                    fmt::format("it patches from {} sequences into sequence {}", source.n_sequences(),
                                place.sequence),
                    "give one sequence, or as many as there are prompts");
    const std::int64_t length = source.length(source.n_sequences() == 1 ? 0 : place.sequence);
    if (place.position >= length)
        throw Error(
            fmt::format("act {} cannot be done", number),
            fmt::format("it patches position {} from a sequence of {} tokens", place.position, length),
            "choose fewer positions, or a longer text");
}

}  // namespace

std::int64_t SiteValues::length(std::int64_t sequence) const {
    const auto s = static_cast<std::size_t>(sequence);
    return first_token[s + 1] - first_token[s];
}

const float* SiteValues::at(std::int64_t sequence, std::int64_t position) const {
    return values.data() + (first_token[static_cast<std::size_t>(sequence)] + position) * width;
}

ActWriter::ActWriter(std::vector<Act> acts, std::span<const SiteShape> shapes,
                     std::vector<std::shared_ptr<const SiteValues>> baseline,
                     std::vector<std::shared_ptr<const SiteValues>> patches,
                     const std::vector<Sequence>& sequences, const std::vector<std::string>& labels,
                     std::uint64_t seed)
    : seed_(seed) {
    const auto n_sequences = static_cast<std::int64_t>(sequences.size());
    for (std::size_t i = 0; i < acts.size(); ++i) {
        Prepared one;
        one.act = std::move(acts[i]);
        const auto shape =
            std::ranges::find_if(shapes, [&](const SiteShape& s) { return s.site == one.act.site; });
        one.site = static_cast<std::size_t>(shape - shapes.begin());
        one.columns = columns_of(one.act, *shape);
        one.basis = orthonormal(one.act.directions);
        if (one.act.kind == ActKind::rotate && one.basis.rows() < one.act.directions.rows())
            throw Error(fmt::format("act {} cannot be done", one.act.number),
                        one.act.directions.rows() == 2
                            ? "its two directions are one, which is no plane"
                            : fmt::format("its {} directions span {} dimensions", one.act.directions.rows(),
                                          one.basis.rows()),
                        "");
        if (!one.act.label.empty()) {
            const auto found = std::find(labels.begin(), labels.end(), one.act.label);
            if (found == labels.end())
                throw Error(fmt::format("act {} cannot be done", one.act.number),
                            fmt::format("no token has the label '{}'", one.act.label),
                            labels.empty() ? "the prompts have no labels" : "");
            one.label = static_cast<std::int32_t>(found - labels.begin());
        }
        one.source = one.act.kind == ActKind::patch ? patches[i] : baseline[i];
        const auto width = static_cast<Eigen::Index>(one.columns.size());
        VectorD sum = VectorD::Zero(width);
        std::int64_t count = 0;
        for (std::int64_t s = 0; s < n_sequences; ++s) {
            const Sequence& sequence = sequences[static_cast<std::size_t>(s)];
            for (std::int64_t p = 0; p < sequence.length(); ++p) {
                const TokenPlace place{
                    s, p, sequence.length(),
                    sequence.labels.empty() ? -1 : sequence.labels[static_cast<std::size_t>(p)]};
                if (!chosen(one, place)) continue;
                ++count;
                if (one.act.kind == ActKind::patch) check_patch(one.act.number, *one.source, place);
                if (one.act.kind != ActKind::mean) continue;
                const float* x = one.source->at(s, p);
                for (Eigen::Index c = 0; c < width; ++c)
                    sum[c] += x[one.columns[static_cast<std::size_t>(c)]];
            }
        }
        if (count == 0)
            throw Error(
                fmt::format("act {} changes nothing", one.act.number),
                fmt::format("no token stands at positions {}{}", one.act.positions.text(),
                            one.act.label.empty() ? "" : fmt::format(" with the label '{}'", one.act.label)),
                "");
        n_tokens_ += count;
        one.mean = sum / static_cast<double>(count);
        if (one.act.kind == ActKind::resample) {
            if (n_sequences < 2)
                throw Error(fmt::format("act {} cannot be done", one.act.number),
                            "resample takes from another sequence, and there is one",
                            "give more prompts, or use mean");
            one.donor = donors(n_sequences, mix(seed, i));
        }
        acts_.push_back(std::move(one));
    }
}

bool ActWriter::chosen(const Prepared& one, const TokenPlace& place) const {
    return one.act.positions.contains(place.position, place.length) &&
           (one.label < 0 || place.label == one.label);
}

bool ActWriter::target(const Prepared& one, const TokenPlace& place, const VectorD& x, VectorD& y) const {
    const double strength = one.act.strength;
    const auto from_source = [&](std::int64_t sequence, std::int64_t position) {
        const float* values = one.source->at(sequence, position);
        for (Eigen::Index c = 0; c < y.size(); ++c) y[c] = values[one.columns[static_cast<std::size_t>(c)]];
    };
    switch (one.act.kind) {
        case ActKind::add:
            if (strength == 0) return false;
            y = x + strength * one.act.directions.cast<double>().colwise().sum().transpose();
            return true;
        case ActKind::clamp:
            y = x + one.basis.transpose() * (VectorD::Constant(one.basis.rows(), strength) - one.basis * x);
            return true;
        case ActKind::rotate: {
            if (strength == 0) return false;
            const double angle = strength * std::numbers::pi / 180;
            const Eigen::Index k = one.basis.rows() / 2;
            const auto from = one.basis.topRows(k), to = one.basis.bottomRows(k);
            const VectorD a = from * x, b = to * x;
            y = x + from.transpose() * ((std::cos(angle) - 1) * a - std::sin(angle) * b) +
                to.transpose() * (std::sin(angle) * a + (std::cos(angle) - 1) * b);
            return true;
        }
        case ActKind::zero:
        case ActKind::project_out:
            y.setZero();
            break;
        case ActKind::mean:
            y = one.mean;
            break;
        case ActKind::resample: {
            const std::int64_t donor = one.donor[static_cast<std::size_t>(place.sequence)];
            // A shorter donor gives its last position.
            from_source(donor, std::min(place.position, one.source->length(donor) - 1));
            break;
        }
        case ActKind::patch: {
            const std::int64_t sequence = one.source->n_sequences() == 1 ? 0 : place.sequence;
            from_source(sequence, place.position);
            break;
        }
    }
    if (strength == 0) return false;
    if (one.basis.rows() > 0) y = x + one.basis.transpose() * (one.basis * (y - x));
    if (strength != 1) y = x + strength * (y - x);
    return true;
}

void ActWriter::change(std::size_t number, const WriteBatch& batch,
                       std::span<const TokenPlace> places) const {
    const Prepared& one = acts_[number];
    const auto width = static_cast<Eigen::Index>(one.columns.size());
    VectorD x(width), y(width);
    for (std::int64_t i = 0; i < batch.n_tokens; ++i) {
        const TokenPlace& place = places[static_cast<std::size_t>(batch.first_token + i)];
        if (!chosen(one, place)) continue;
        float* row = batch.data + i * batch.width;
        for (Eigen::Index c = 0; c < width; ++c) x[c] = row[one.columns[static_cast<std::size_t>(c)]];
        if (!target(one, place, x, y)) continue;
        if (random_) {
            Rng rng(mix(mix(seed_, number), static_cast<std::uint64_t>(place.sequence),
                        static_cast<std::uint64_t>(place.position)));
            const double length = (y - x).norm();
            VectorD direction(width);
            for (Eigen::Index c = 0; c < width; ++c) direction[c] = rng.normal();
            y = x + length * direction.normalized();
        }
        for (Eigen::Index c = 0; c < width; ++c)
            row[one.columns[static_cast<std::size_t>(c)]] = static_cast<float>(y[c]);
    }
}

Json ActWriter::record() const {
    Json acts = Json::array();
    const auto sum = [](const float* values, auto count) {
        return xxh3_128(std::as_bytes(std::span(values, static_cast<std::size_t>(count))));
    };
    for (const Prepared& one : acts_) {
        Json json = one.act.json;
        const Matrix& directions = one.act.directions;
        if (directions.size() > 0) json["direction_xxh3_128"] = sum(directions.data(), directions.size());
        if (one.act.kind == ActKind::patch)
            json["from_xxh3_128"] = sum(one.source->values.data(), one.source->values.size());
        acts.push_back(std::move(json));
    }
    return acts;
}

std::vector<Write> ActWriter::writes(std::span<const TokenPlace> places) const {
    std::vector<std::size_t> all(acts_.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    return writes(places, all);
}

std::vector<Write> ActWriter::writes(std::span<const TokenPlace> places,
                                     std::span<const std::size_t> acts) const {
    std::vector<Write> writes;
    for (const std::size_t i : acts)
        writes.push_back(
            {acts_[i].site, [this, i, places](const WriteBatch& batch) { change(i, batch, places); }});
    return writes;
}

}  // namespace tomograph
