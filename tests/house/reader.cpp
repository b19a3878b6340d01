// Opens a run, fits a PCA to it and prints what it holds: a program that reads links no model.
#include <fmt/core.h>

#include <exception>

#include "tomograph/linear/pca.h"
#include "tomograph/select/selection.h"

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: reader RUN\n");
        return 2;
    }
    try {
        const auto run = tomograph::Run::open(argv[1]);
        const auto rows = tomograph::select(run, {.components = {run.sites().front().site.component}});
        const auto pca = tomograph::fit_pca(rows, {.n_components = 2});
        fmt::print("{}: {} sites, {} rows, two components hold {:.4f}\n", run.model_name(),
                   run.sites().size(), rows.n_rows(), pca.explained_variance.sum() / pca.total_variance);
    } catch (const std::exception& e) {
        fmt::print(stderr, "{}\n", e.what());
        return 1;
    }
}
