#pragma once
#include <nanobind/nanobind.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "tomograph/base/progress.h"
#include "tomograph/model/model.h"
#include "tomograph/words/site.h"

namespace tomograph::python {

namespace nb = nanobind;

/// A model that Python holds. One thread uses it at a time: another is refused rather than made to wait.
class OpenModel {
  public:
    explicit OpenModel(std::shared_ptr<const Model> model)
        : model_(std::move(model)), name_(model_->info().path) {}

    /// Runs `work` on a thread of its own (work.h). It must own what it touches. Errors: Error when the model
    /// is closed, in use, or was given up.
    void use(std::function<void(const Model&, Progress&)> work, nb::handle report);
    /// Of what is read of the model in no time.
    const Model& get() const;
    /// Errors: Error while it is in use.
    void close();
    bool closed() const { return model_ == nullptr; }
    const std::string& name() const { return name_; }

  private:
    std::unique_lock<std::mutex> lock();
    std::shared_ptr<const Model> model_;
    std::string name_;
    std::mutex busy_;
    bool lost_ = false;
};

/// "source" or "target". Errors: Error for another.
Side parse_side(const std::string& side);

/// Every site that can be read or changed.
std::vector<SiteShape> sites_of(const Model& model);

}  // namespace tomograph::python
