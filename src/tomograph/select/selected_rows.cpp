#include "tomograph/select/selected_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tomograph/select/own_lengths.h"

namespace tomograph {

void SelectedRows::read(std::int64_t begin, std::int64_t end, float* out) const {
    read_raw(begin, end, out);
    normalize_rows(normalize(), out, end - begin, dim_);
}

const SelectedRows::Segment& SelectedRows::segment_of(std::int64_t row) const {
    const auto after = std::upper_bound(segments_.begin(), segments_.end(), row,
                                        [](std::int64_t r, const Segment& s) { return r < s.first; });
    return *(after - 1);
}

void SelectedRows::read_raw(std::int64_t begin, std::int64_t end, float* out) const {
    if (averages_.size() > 0) {
        std::copy(averages_.data() + begin * dim_, averages_.data() + end * dim_, out);
        return;
    }
    float* at = out;
    for (std::int64_t row = begin; row < end;) {
        const Segment& segment = segment_of(row);
        const std::vector<std::int64_t>& rows = *segment.stored;
        std::int64_t local = row - segment.first;
        const std::int64_t stop = std::min(std::ssize(rows), local + end - row);
        while (local < stop) {
            // Runs of consecutive stored rows are read in one go.
            std::int64_t run_end = local + 1;
            const std::int64_t stored = rows[static_cast<std::size_t>(local)];
            while (run_end < stop && rows[static_cast<std::size_t>(run_end)] == stored + run_end - local)
                ++run_end;
            run_->read_rows(segment.site, stored, stored + run_end - local, at);
            if (from_scores_)
                normalize_stored(*run_, segment.site, normalize_, stored, stored + run_end - local, at);
            at += (run_end - local) * dim_;
            row += run_end - local;
            local = run_end;
        }
    }
}

const RowLabels& SelectedRows::labels() const {
    std::call_once(labels_->made, [&] {
        if (averages_.size() == 0) labels_->all = labels(0, n_rows_);
    });
    return labels_->all;
}

RowLabels SelectedRows::labels(std::int64_t begin, std::int64_t end) const {
    RowLabels found;
    if (averages_.size() > 0) {
        std::vector<std::int64_t> rows;
        for (std::int64_t row = begin; row < end; ++row) rows.push_back(row);
        return labels_->all.of(rows);
    }
    const TokenTable& tokens = run_->tokens();
    for (std::int64_t row = begin; row < end;) {
        const Segment& segment = segment_of(row);
        const auto first = segment.stored->begin() + (row - segment.first);
        const std::int64_t n = std::min(end - row, std::int64_t{segment.stored->end() - first});
        const auto token_of = [&](std::int64_t stored) {
            return run_->rows()[static_cast<std::size_t>(stored)];
        };
        const std::int64_t first_token = token_of(*first), end_token = token_of(first[n - 1]) + 1;
        const std::vector<float> norms = run_->norms(segment.site, first_token, end_token);
        for (std::int64_t i = 0; i < n; ++i) {
            const std::int32_t token = token_of(first[i]);
            const auto t = static_cast<std::size_t>(token);
            found.add({segment.site, segment.shown_layer, tokens.position[t], token, tokens.sequence[t],
                       tokens.label[t], norms[t - static_cast<std::size_t>(first_token)]},
                      renumbered_);
        }
        row += n;
    }
    return found;
}

std::vector<Site> SelectedRows::sites() const {
    std::vector<Site> found;
    const auto add = [&](const Site& site) {
        if (std::ranges::find(found, site) == found.end()) found.push_back(site);
    };
    for (const Segment& segment : segments_) add(segment.site);
    if (averages_.size() > 0) {
        for (std::int64_t row = 0; row < n_rows_; ++row) add(labels_->all.site(row));
    }
    return found;
}

std::string SelectedRows::describe(std::int64_t row) const {
    const RowLabels labels = this->labels(row, row + 1);
    const Site site = labels.site(0);
    if (labels.token[0] < 0) {
        const bool over_layers = in_block(site.component) && site.layer < 0;
        std::string text = over_layers
                               ? fmt::format("{}, an average over layers", component_name(site.component))
                               : site.name() + ", an average";
        if (labels.position[0] >= 0) text += fmt::format(" at position {}", labels.position[0]);
        if (labels.sequence[0] >= 0) text += fmt::format(" of sequence {}", labels.sequence[0]);
        return text;
    }
    return fmt::format("{}, token {} (sequence {}, position {})", site.name(), labels.token[0],
                       labels.sequence[0], labels.position[0]);
}

SelectedRows SelectedRows::without(const std::vector<std::int64_t>& rows) const {
    SelectedRows rest = *this;
    rest.labels_ = std::make_shared<Labels>();
    rest.n_rows_ = n_rows_ - std::ssize(rows);
    if (averages_.size() > 0) {
        std::vector<std::int64_t> kept;
        for (std::int64_t row = 0; row < n_rows_; ++row) {
            if (!std::ranges::binary_search(rows, row)) kept.push_back(row);
        }
        rest.averages_.resize(std::ssize(kept), dim_);
        for (std::size_t i = 0; i < kept.size(); ++i)
            rest.averages_.row(static_cast<Eigen::Index>(i)) = averages_.row(kept[i]);
        rest.labels_->all = labels_->all.of(kept);
        return rest;
    }
    rest.segments_.clear();
    std::int64_t first = 0;
    for (const Segment& segment : segments_) {
        const std::int64_t end = segment.first + std::ssize(*segment.stored);
        Segment left = segment;
        left.first = first;
        const auto from = std::ranges::lower_bound(rows, segment.first),
                   to = std::ranges::lower_bound(rows, end);
        if (from != to) {
            std::vector<std::int64_t> stored;
            auto next = from;
            for (std::int64_t row = segment.first; row < end; ++row) {
                if (next != to && *next == row)
                    ++next;
                else
                    stored.push_back((*segment.stored)[static_cast<std::size_t>(row - segment.first)]);
            }
            if (stored.empty()) continue;
            left.stored = std::make_shared<const std::vector<std::int64_t>>(std::move(stored));
        }
        first += std::ssize(*left.stored);
        rest.segments_.push_back(std::move(left));
    }
    return rest;
}

}  // namespace tomograph
