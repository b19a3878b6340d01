// Two run folders, a complete one and one whose capture was stopped: any of their files replaced.
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
        test::RunSketch sketch{.labels = {"a", "b"},
                               .token_labels = {0, 0, 1, -1, 0, 0, 0, 1, 1, 1, -1, 0, 0}};
        sketch.write(folder() / "complete");
        sketch.whole_shards = 2;
        sketch.write(folder() / "stopped");
        return EditedFolder(folder());
    }();
    return edited;
}

/// What every reader of a run does sooner or later.
void use(const Run& run) {
    (void)run.pieces();
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
    const auto run = folder() / (input.starts_with("@@ stopped/") ? "stopped" : "complete");
    std::string verified = answer([&] {
        const Verification verification = verify_run(run, no_progress());
        for (const auto& fault : verification.faults) throw Error(fault.file, fault.what, "");
    });
    const std::string used = answer([&] { use(Run::open(run)); });
    return without(folder().path(), used.empty() ? verified : used);
}

}  // namespace tomograph::fuzz
