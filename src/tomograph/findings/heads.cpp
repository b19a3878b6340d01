#include "tomograph/findings/heads.h"

#include <algorithm>

#include "tomograph/linear/pca.h"
#include "tomograph/statistics/cka.h"
#include "tomograph/statistics/dimension.h"

namespace tomograph {

void measure_heads(Subject& subject) {
    constexpr std::int64_t kRows = 1000;
    const Run& run = subject.run;
    std::vector<std::int64_t> rows(subject.sample.rows.begin(),
                                   subject.sample.rows.begin() + std::min(kRows, subject.sample.size()));
    if (rows.size() < 16) return;
    Json table = Json::array();
    for (const SiteShape& shape : run.sites()) {
        const Site mlp{Component::mlp_out, shape.site.layer};
        if (shape.site.component != Component::z || shape.shape.size() != 2 ||
            !subject.census.has(shape.site))
            continue;
        const Matrix z = read_sample(run, shape.site, rows);
        const Matrix other = subject.census.has(mlp) ? read_sample(run, mlp, rows) : Matrix();
        Matrix shifted(other.rows(), other.cols());  // the MLP's rows under other tokens: what chance gives
        for (Eigen::Index i = 0; i < other.rows(); ++i)
            shifted.row(i) = other.row((i + other.rows() / 2) % other.rows());
        const double all = z.cast<double>().squaredNorm();
        for (std::int64_t head = 0; head < shape.shape[0]; ++head) {
            const Matrix part = z.middleCols(head * shape.shape[1], shape.shape[1]);
            const Pca pca = fit_pca(MatrixRows(part), {.n_components = 0, .threads = 1});
            table.push_back(
                {{"layer", shape.site.layer},
                 {"head", head},
                 {"rows", rows.size()},
                 {"norm_share", number(all > 0 ? part.cast<double>().squaredNorm() / all : kNoNumber)},
                 {"participation_ratio", number(participation_ratio(pca.explained_variance))},
                 {"cka_with_mlp", number(other.size() > 0 ? linear_cka(part, other) : kNoNumber)},
                 {"cka_other_tokens", number(other.size() > 0 ? linear_cka(part, shifted) : kNoNumber)}});
        }
    }
    if (!table.empty()) subject.tables["heads"] = std::move(table);
}

}  // namespace tomograph
