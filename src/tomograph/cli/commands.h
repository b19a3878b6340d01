#pragma once
#include <CLI/CLI.hpp>

#include "tomograph/base/progress.h"
#include "tomograph/cli/print.h"

namespace tomograph {

/// What a command exits with that was asked to fail on a finding and found it; it throws
/// CLI::RuntimeError{kFoundExit}.
inline constexpr int kFoundExit = 3;

/// One function a command: adds its options to the parser, with what to do as the callback.
void add_advise(CLI::App& app, Progress& progress);
void add_capture(CLI::App& app, Progress& progress);
void add_compare(CLI::App& app, Progress& progress);
void add_completions(CLI::App& app);
void add_convert(CLI::App& app, Progress& progress);
void add_direction(CLI::App& app, Progress& progress);
void add_export(CLI::App& app);
void add_import(CLI::App& app, Progress& progress);
void add_info(CLI::App& app, Progress& progress);
void add_intervene(CLI::App& app, Progress& progress);
void add_lens(CLI::App& app, Progress& progress);
void add_list(CLI::App& app);
void add_manual(CLI::App& app);
void add_measure(CLI::App& app, Progress& progress);
void add_merge(CLI::App& app, Progress& progress);
void add_models(CLI::App& app);
void add_plot(CLI::App& app);
void add_project(CLI::App& app, Progress& progress);
void add_quantize(CLI::App& app, Progress& progress);
void add_randomize(CLI::App& app, Progress& progress);
void add_remove(CLI::App& app);
void add_rename(CLI::App& app);
void add_run(CLI::App& app, Progress& progress);
void add_sweep(CLI::App& app, Progress& progress);
void add_verify(CLI::App& app, Progress& progress);
void add_view(CLI::App& app, Progress& progress);
void add_worker(CLI::App& app);

}  // namespace tomograph
