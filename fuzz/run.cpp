// A run folder: any of its files replaced.
#include "tomograph/store/run.h"

#include "fuzz.h"
#include "support/run_folder.h"
#include "tomograph/select/selection.h"
#include "tomograph/store/verify.h"

namespace tomograph::fuzz {
namespace {

const test::TempFolder& folder() {
    static const test::TempFolder folder;
    return folder;
}

EditedFolder& edited() {
    static EditedFolder edited = [] {
        test::RunSketch{.labels = {"a", "b"}, .token_labels = {0, 0, 1, -1, 0, 0, 0, 1, 1, 1, -1, 0, 0}}
            .write(folder().path());
        return EditedFolder(folder());
    }();
    return edited;
}

/// What every reader of a run does sooner or later.
void use(const Run& run) {
    (void)run.pieces();
    (void)verify_run(run.path(), no_progress());
    for (const SiteShape& site : run.sites()) {
        if (run.has_vectors(site.site)) {
            Matrix rows(run.n_rows(), site.width());
            run.read_rows(site.site, 0, run.n_rows(), rows.data());
        }
        if (!run.has_stats()) continue;
        (void)run.norms(site.site);
        (void)run.means(site.site);
    }
    const SelectedRows rows = select(run, {});
    for (std::int64_t i = 0; i < rows.n_rows(); ++i) (void)rows.describe(i);
}

}  // namespace

std::vector<std::string> good_inputs() {
    return edited().inputs();
}

std::string parse(const std::string& input) {
    edited().apply(input);
    return without(folder().path(), answer([] { use(Run::open(folder().path())); }));
}

}  // namespace tomograph::fuzz
