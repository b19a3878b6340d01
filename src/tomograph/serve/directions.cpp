#include "tomograph/serve/directions.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/base/json_reason.h"
#include "tomograph/base/text.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

constexpr std::size_t kMostDirections = 16;

/// Rows of a group as they were captured, [n, d]. Errors: Error for rows that cannot be a group.
MatrixD group(const MapRows& map, const Site& site, const std::vector<std::int64_t>& rows, const char* which,
              std::set<std::int64_t>& taken) {
    const RowLabels& labels = map.rows.labels();
    if (rows.size() < kLeastOfGroup)
        throw Error(fmt::format("{} to lead {} at {}", counted(rows.size(), "point"), which, site.name()),
                    fmt::format("a mean needs {}", kLeastOfGroup), "select more points");
    if (rows.size() > kMostOfGroup)
        throw Error(fmt::format("{} points to lead {}", rows.size(), which),
                    fmt::format("{} are read at most", kMostOfGroup), "send some of them, evenly");
    MatrixD vectors(static_cast<Eigen::Index>(rows.size()), map.rows.dim());
    Vector vector(map.rows.dim());
    Eigen::Index next = 0;
    for (const std::int64_t row : rows) {
        if (row < 0 || row >= map.rows.n_rows()) throw Error("the map has no such point", "", "");
        if (labels.site(row) != site)
            throw Error(fmt::format("point {} is of {}", row, labels.site(row).name()),
                        fmt::format("the direction is asked for at {}", site.name()), "");
        if (!taken.insert(row).second)
            throw Error(fmt::format("point {} is in both groups, or twice in one", row), "", "");
        map.rows.read_raw(row, row + 1, vector.data());
        vectors.row(next++) = vector.cast<double>().transpose();
    }
    return vectors;
}

/// Of a direction that every other row gives, on the rows between.
double told_apart(const MatrixD& toward, const MatrixD& away, Eigen::Index first) {
    const auto mean_of_half = [first](const MatrixD& all) {
        Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(all.cols());
        Eigen::Index n = 0;
        for (Eigen::Index i = first; i < all.rows(); i += 2, ++n) sum += all.row(i);
        return Eigen::RowVectorXd(sum / static_cast<double>(n));
    };
    const Eigen::RowVectorXd direction = mean_of_half(toward) - mean_of_half(away);
    std::vector<double> scores;
    std::vector<std::uint8_t> is_toward;
    for (const auto& [all, is] : {std::pair(&toward, 1), std::pair(&away, 0)}) {
        for (Eigen::Index i = 1 - first; i < all->rows(); i += 2) {
            scores.push_back(all->row(i).dot(direction));
            is_toward.push_back(static_cast<std::uint8_t>(is));
        }
    }
    return auroc(scores, is_toward);
}

}  // namespace

FoundDirection find_direction(const MapRows& map, const Site& site, const std::vector<std::int64_t>& toward,
                              const std::vector<std::int64_t>& away) {
    if (std::ranges::any_of(map.rows.labels().token, [](std::int32_t token) { return token < 0; }))
        throw Error("this map's points are averages", "a direction is found between single tokens' vectors",
                    "choose a map of tokens");
    std::set<std::int64_t> taken;
    const MatrixD to = group(map, site, toward, "toward", taken),
                  from = group(map, site, away, "away from", taken);
    FoundDirection found{.site = site, .n_toward = to.rows(), .n_away = from.rows()};
    found.direction = (to.colwise().mean() - from.colwise().mean()).transpose().cast<float>();
    found.mean_norm = (to.rowwise().norm().sum() + from.rowwise().norm().sum()) /
                      static_cast<double>(to.rows() + from.rows());
    if (!found.direction.allFinite()) throw Error("a point of these holds NaN or Inf", "", "leave it out");
    if (!(found.direction.norm() > 1e-6 * found.mean_norm))
        throw Error(fmt::format("both groups have the same mean at {}", site.name()),
                    "there is nowhere to steer to", "select other points");
    found.held_out = (told_apart(to, from, 0) + told_apart(to, from, 1)) / 2;
    return found;
}

Json Directions::find(const Json& request) {
    if (!request.is_object()) throw Error("the request is no JSON object", "", "");
    std::size_t run = 0;
    std::string name, version;
    Site site{};
    std::vector<std::int64_t> toward, away;
    try {
        run = whole_number(request, "run", std::size_t{0});
        name = request.at("projection").get<std::string>();
        version = request.value("version", "");
        const auto word = request.at("component").get<std::string>();
        const auto component = find_component(word);
        if (!component) throw Error("no component '" + printable(word) + "'", "", "");
        site = {*component, in_block(*component) ? whole_number<int>(request.at("layer"), "layer") : -1};
        for (const Json& row : request.at("toward"))
            toward.push_back(whole_number<std::int64_t>(row, "toward"));
        for (const Json& row : request.at("away")) away.push_back(whole_number<std::int64_t>(row, "away"));
    } catch (const JsonError& e) {
        throw Error("the request cannot be read", e.what(), "");
    } catch (const Json::exception& e) {
        throw Error("the request cannot be read", json_reason(e), "");
    }
    const auto map = catalog_.rows(run, name);
    if (!version.empty() && version != map->version)
        throw Error("the map was made anew since these points were selected", "", "select them again");
    auto found = std::make_shared<FoundDirection>(find_direction(*map, site, toward, away));
    found->run = run;
    const std::lock_guard lock(mutex_);
    found->id = next_++;
    found_.push_front(found);
    if (found_.size() > kMostDirections) found_.pop_back();
    return {{"id", found->id},
            {"site", site.name()},
            {"length", found->direction.norm()},
            {"mean_norm", found->mean_norm},
            {"held_out", found->held_out},
            {"toward", found->n_toward},
            {"away", found->n_away}};
}

std::shared_ptr<const FoundDirection> Directions::get(int id) const {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(found_, [id](const auto& one) { return one->id == id; });
    if (found == found_.end())
        throw Error(fmt::format("direction {} is not at hand", id), "the last few are kept only",
                    "let it be found again");
    return *found;
}

}  // namespace tomograph
