// A run's projections and the neighbours that are kept for the next map.
#include "tomograph/maps/projection.h"

#include "fuzz.h"
#include "support/run_folder.h"

namespace tomograph::fuzz {
namespace {

const test::TempFolder& folder() {
    static const test::TempFolder folder;
    return folder;
}

EditedFolder& edited() {
    static EditedFolder edited = [] {
        test::RunSketch{}.write(folder().path());
        const Run run = Run::open(folder().path());
        ProjectionOptions options;
        options.selection.components = {Component::attn_out, Component::mlp_out};
        save_projection(run, project_pca(run, "pair", options));
        return EditedFolder(folder());
    }();
    return edited;
}

}  // namespace

std::vector<std::string> good_inputs() {
    std::vector<std::string> inputs;
    for (std::string& input : edited().inputs()) {
        if (input.starts_with("@@ projections/")) inputs.push_back(std::move(input));
    }
    return inputs;
}

std::string parse(const std::string& input) {
    static const Run run = [] {
        (void)edited();
        return Run::open(folder().path());
    }();
    edited().apply(input);
    return without(folder().path(), answer([&] {
                       const Projection projection = load_projection(run, "pair");
                       if (!projection.pca) return;
                       // Other rows are placed into a basis that was loaded.
                       ProjectionOptions options;
                       options.selection.components = {Component::attn_out, Component::mlp_out};
                       options.basis_of = "pair";
                       (void)project_pca(run, "placed", options);
                   }));
}

}  // namespace tomograph::fuzz
