#pragma once
#include <nanobind/nanobind.h>

#include <memory>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/select/selection_words.h"
#include "tomograph/store/run.h"

namespace tomograph::python {

namespace nb = nanobind;

/// An Error about a file or a folder: an OSError in Python, where every other one is a ValueError.
class FileError : public Error {
    using Error::Error;

  public:
    explicit FileError(const Error& error) : Error(error) {}
};

/// What `make` throws about a file becomes an OSError.
template <typename Make>
decltype(auto) about_files(Make&& make) {
    try {
        return make();
    } catch (const FileError&) {
        throw;
    } catch (const Error& error) {
        throw FileError(error);
    }
}

/// A run that Python holds: open until it is closed. What was made of it before stays whole.
class OpenRun {
  public:
    explicit OpenRun(std::shared_ptr<const Run> run) : run_(std::move(run)) {}
    /// Errors: Error when it was closed.
    const std::shared_ptr<const Run>& shared() const;
    const Run& get() const { return *shared(); }
    void close() { run_.reset(); }
    bool closed() const { return run_ == nullptr; }

  private:
    std::shared_ptr<const Run> run_;
};

/// Selected rows together with the run that they are read from.
class Selected {
  public:
    Selected(std::shared_ptr<const Run> run, SelectedRows rows)
        : run_(std::move(run)), rows_(std::move(rows)) {}
    const SelectedRows& rows() const { return rows_; }
    const Run& run() const { return *run_; }

  private:
    std::shared_ptr<const Run> run_;
    SelectedRows rows_;
};

/// A table of labels as columns: name to array.
nb::dict label_columns(const Run& run, const RowLabels& labels);

void bind_runs(nb::module_& module);
void bind_projections(nb::module_& module);
void bind_estimators(nb::module_& module);
void bind_statistics(nb::module_& module);
void bind_findings(nb::module_& module);
void bind_models(nb::module_& module);
void bind_capture(nb::module_& module);
void bind_lens(nb::module_& module);
void bind_tools(nb::module_& module);
void bind_exchange(nb::module_& module);
void bind_palette(nb::module_& module);
void bind_view(nb::module_& module);

}  // namespace tomograph::python
