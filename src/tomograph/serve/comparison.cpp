#include "tomograph/serve/comparison.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/alignment.h"

namespace tomograph {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
constexpr std::int64_t kBlock = 1024;

std::uint64_t row_key(const Site& of, std::int32_t sequence, std::int32_t position) {
    const auto site = (static_cast<std::uint64_t>(of.component) << 16) ^ static_cast<std::uint16_t>(of.layer);
    const auto place = (static_cast<std::uint64_t>(static_cast<std::uint32_t>(sequence)) << 32) ^
                       static_cast<std::uint32_t>(position);
    return mix(site, place);
}

/// Which of `rows` are the counterparts of `wanted`; -1: none. `alignment`: none where tokens go by their
/// places.
std::vector<std::int64_t> counterparts(const RowLabels& wanted, const RowLabels& rows, const Run& b,
                                       const std::optional<Alignment>& alignment) {
    std::unordered_map<std::uint64_t, std::int64_t> place;
    place.reserve(static_cast<std::size_t>(rows.size()));
    for (std::int64_t row = 0; row < rows.size(); ++row) {
        const auto i = static_cast<std::size_t>(row);
        place[row_key(rows.site(row), rows.sequence[i], rows.position[i])] = row;
    }
    std::vector<std::int64_t> match;
    match.reserve(static_cast<std::size_t>(wanted.size()));
    for (std::int64_t row = 0; row < wanted.size(); ++row) {
        const auto i = static_cast<std::size_t>(row);
        std::int32_t sequence = wanted.sequence[i], position = wanted.position[i];
        if (alignment && wanted.token[i] >= 0) {
            const std::int64_t other = alignment->b_of_a[static_cast<std::size_t>(wanted.token[i])];
            if (other < 0) {
                match.push_back(-1);
                continue;
            }
            sequence = b.tokens().sequence[static_cast<std::size_t>(other)];
            position = b.tokens().position[static_cast<std::size_t>(other)];
        }
        const auto found = place.find(row_key(wanted.site(row), sequence, position));
        match.push_back(found == place.end() ? -1 : found->second);
    }
    return match;
}

/// Counterparts in the order of what they are counterparts of; zeros where there is none.
class MatchedRows final : public RowSource {
  public:
    MatchedRows(const SelectedRows& rows, const std::vector<std::int64_t>& match)
        : rows_(rows), match_(match) {}
    std::int64_t n_rows() const override { return std::ssize(match_); }
    std::int64_t dim() const override { return rows_.dim(); }
    void read(std::int64_t begin, std::int64_t end, float* out) const override {
        const auto at = [&](std::int64_t row) { return match_[static_cast<std::size_t>(row)]; };
        for (std::int64_t row = begin; row < end;) {
            std::int64_t stop = row + 1;
            float* to = out + (row - begin) * dim();
            if (at(row) < 0) {
                std::fill_n(to, dim(), 0.0f);
            } else {
                while (stop < end && at(stop) == at(row) + stop - row) ++stop;
                rows_.read(at(row), at(row) + stop - row, to);
            }
            row = stop;
        }
    }

  private:
    const SelectedRows& rows_;
    const std::vector<std::int64_t>& match_;
};

/// Those of `projection` in another run: all that its rows may have counterparts among.
Selection wider(const Projection& projection, bool same_tokens) {
    Selection selection = selection_of(projection);
    if (!selection.averages()) selection.rows = 0;
    if (!same_tokens && !selection.averages()) selection.positions = {};
    return selection;
}

struct Moved {
    std::vector<float> distance;  ///< from a row to its counterpart; NaN: it has none
    std::vector<double> squares;  ///< |row|^2
};

Moved measure_movement(const SelectedRows& rows, const MatchedRows& others,
                       const std::vector<std::int64_t>& match) {
    Moved moved{std::vector<float>(match.size(), kNone), std::vector<double>(match.size())};
    const std::int64_t n = rows.n_rows(), n_blocks = (n + kBlock - 1) / kBlock;
    parallel_for(n_blocks, thread_count(0), [&](std::int64_t block) {
        const std::int64_t begin = block * kBlock, end = std::min(n, begin + kBlock);
        Matrix x(end - begin, rows.dim()), y(end - begin, rows.dim());
        rows.read(begin, end, x.data());
        others.read(begin, end, y.data());
        for (std::int64_t row = begin; row < end; ++row) {
            const auto i = static_cast<std::size_t>(row);
            const auto from = x.row(row - begin).cast<double>(), to = y.row(row - begin).cast<double>();
            moved.squares[i] = from.squaredNorm();
            if (match[i] >= 0) moved.distance[i] = static_cast<float>((to - from).norm());
        }
    });
    return moved;
}

Json sites_json(const RowLabels& labels, const Moved& moved, bool first_apart) {
    struct Sum {
        double moved = 0, squares = 0;
        std::int64_t n = 0;
    };
    std::map<std::pair<Component, std::int32_t>, Sum> sums;
    for (std::size_t i = 0; i < moved.distance.size(); ++i) {
        const double distance = moved.distance[i];
        if (std::isnan(distance) || (first_apart && labels.position[i] == 0)) continue;
        Sum& sum = sums[{labels.component[i], labels.layer[i]}];
        sum.moved += distance * distance;
        sum.squares += moved.squares[i];
        ++sum.n;
    }
    std::vector<Json> sites;
    for (const auto& [site, sum] : sums)
        sites.push_back({{"component", component_name(site.first)},
                         {"layer", site.second},
                         {"movement", sum.squares > 0 ? std::sqrt(sum.moved / sum.squares) : 0.0},
                         {"length", std::sqrt(sum.squares / static_cast<double>(sum.n))},
                         {"rows", sum.n}});
    std::ranges::stable_sort(sites, std::greater{},
                             [](const Json& site) { return site.at("movement").get<double>(); });
    return sites;
}

template <typename Values>
ColumnPtr f32_column(const Values& values) {
    std::string bytes(values.size() * sizeof(float), '\0');
    std::copy(values.begin(), values.end(), reinterpret_cast<float*>(bytes.data()));
    return make_column("f32", std::move(bytes));
}

}  // namespace

ColumnSet comparison_columns(const Run& a, const Projection& projection, const SelectedRows& rows,
                             const Run& b) {
    if (!projection.pca)
        throw Error("'" + projection.name + "' has no basis", "",
                    "choose a PCA projection to compare two runs in");
    Json notes = Json::array();
    std::optional<Alignment> alignment;
    try {
        alignment = align_tokens(a, b);
        if (!alignment->same_tokens)
            notes.push_back(
                "the runs cut the same text into different tokens; those that end alike are compared");
    } catch (const Error& e) {
        notes.push_back(std::string("tokens of the same sequence and position are compared: ") + e.what());
    }
    const SelectedRows others = select(b, wider(projection, !alignment || alignment->same_tokens));
    if (others.dim() != projection.pca->mean.size())
        throw Error("these runs cannot share a basis", "their vectors have different widths", "");
    const auto match = counterparts(rows.labels(), others.labels(), b, alignment);
    const auto n_matched = std::ranges::count_if(match, [](std::int64_t row) { return row >= 0; });
    if (n_matched == 0)
        throw Error("no row of the second run matches one of the first", "",
                    "capture both on the same prompts, layers and positions");
    const MatchedRows matched(others, match);
    Matrix points = transform(*projection.pca, matched, {.center = projection.info.value("center", true)});
    for (std::int64_t row = 0; row < points.rows(); ++row) {
        if (match[static_cast<std::size_t>(row)] < 0) points.row(row).setConstant(kNone);
    }
    const Moved moved = measure_movement(rows, matched, match);
    ColumnSet set;
    set.header = {{"name", projection.name}, {"n", match.size()},
                  {"dims", points.cols()},   {"n_matched", n_matched},
                  {"notes", notes},          {"sites", sites_json(rows.labels(), moved, a.length() > 1)}};
    for (Eigen::Index axis = 0; axis < points.cols(); ++axis) {
        const Vector column = points.col(axis);
        set.columns["axis" + std::to_string(axis)] = f32_column(column);
    }
    set.columns["displacement"] = f32_column(moved.distance);
    return set;
}

}  // namespace tomograph
