#pragma once
#include <nanobind/nanobind.h>

#include <functional>
#include <optional>

#include "tomograph/base/progress.h"

namespace tomograph::python {

namespace nb = nanobind;

/// Does work on a thread of its own, without the interpreter's lock, while the calling thread listens: Ctrl-C
/// and what `report` throws stop the work and are raised once it has ended. `report` is None or a callable
/// that gets (task, done, total, unit) at most twenty times a second.
///
/// The work must touch no Python object without taking the lock. Errors: what the work throws.
void do_work(const std::function<void(Progress&)>& work, nb::handle report);

/// The same for work that llama.cpp does. Where llama.cpp would end the process, its thread is left standing
/// instead, and an Error says so: `lost` is called before it is raised, so that whoever owns the model never
/// touches it again. As the standing thread and its helpers may still look at what the work holds, the work
/// must own all of it: nothing of the caller's frame.
void do_model_work(const std::function<void(Progress&)>& work, nb::handle report,
                   const std::function<void()>& lost);

/// The result of work.
template <typename Result>
Result result_of(const std::function<Result(Progress&)>& work, nb::handle report) {
    std::optional<Result> result;
    do_work([&](Progress& progress) { result.emplace(work(progress)); }, report);
    return std::move(*result);
}

}  // namespace tomograph::python
