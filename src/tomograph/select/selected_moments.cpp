#include "tomograph/select/selected_moments.h"

#include "tomograph/base/error.h"
#include "tomograph/store/basis.h"

namespace tomograph {
namespace {

/// Of what the scores stand for: A^T C A, with the axes A as rows.
MatrixD spread_out(const MatrixD& of_scores, const Matrix& axes) {
    const MatrixD wide = axes.cast<double>();
    return wide.transpose() * (of_scores * wide);
}

}  // namespace

SelectedMoments select_moments(const Run& run, const Selection& selection) {
    if (selection.normalize != Normalize::none)
        throw Error("moments are of the vectors as they are",
                    "what normalising makes of them is not known from it",
                    "leave out --normalize, or fit to the rows");
    SelectedMoments result;
    double squares = 0, own_traces = 0;
    const std::vector<SiteShape> sites = selected_sites(run, selection);
    result.site_means.resize(std::ssize(sites), sites.front().width());
    for (const SiteShape& site : sites) {
        SiteMoments of_site = run.moments(site.site);
        const auto place = static_cast<Eigen::Index>(result.sites.size());
        result.sites.push_back(site.site);
        if (of_site.count == 0) {
            result.site_means.row(place).setZero();
            continue;
        }
        result.site_means.row(place) = of_site.mean.cast<float>().transpose();
        squares += of_site.squares.sum();
        own_traces += of_site.comoment.trace();
        if (of_site.score_mean.size() > 0)
            of_site.comoment = spread_out(of_site.comoment, basis_of(run.path(), {site}).sites[0].components);
        merge_moments(result.moments, {of_site.count, std::move(of_site.mean), std::move(of_site.comoment)});
    }
    if (result.moments.count < 2)
        throw Error("there are no moments of these sites", "no vector of them counted",
                    "capture more tokens");
    // What lies between the sites is the same for scores and vectors.
    const double between = result.moments.comoment.trace() - own_traces;
    result.total_variance = (squares + between) / static_cast<double>(result.moments.count - 1);
    return result;
}

}  // namespace tomograph
