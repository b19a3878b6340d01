#include "open_model.h"

#include "bindings.h"
#include "work.h"

namespace tomograph::python {

const Model& OpenModel::get() const {
    if (lost_)
        throw Error(name_ + " cannot be used any more", "llama.cpp gave up while it ran", "open it again");
    if (!model_)
        throw Error(name_ + " is closed", "close() was called, or its with block has ended",
                    "open it again with tomograph.Model()");
    return *model_;
}

std::unique_lock<std::mutex> OpenModel::lock() {
    std::unique_lock lock(busy_, std::try_to_lock);
    if (!lock)
        throw Error(name_ + " is in use", "another thread works with it",
                    "wait for that thread, or open the model a second time");
    return lock;
}

void OpenModel::use(std::function<void(const Model&, Progress&)> work, nb::handle report) {
    const auto held = lock();
    get();
    do_model_work([model = model_, work = std::move(work)](Progress& progress) { work(*model, progress); },
                  report,
                  [this] {
                      lost_ = true;
                      // Threads of llama.cpp's may still look at it: it is never freed.
                      static_cast<void>(new std::shared_ptr<const Model>(std::move(model_)));
                  });
}

Side parse_side(const std::string& side) {
    if (side == "source") return Side::source;
    if (side == "target") return Side::target;
    throw Error("no side is called '" + side + "'", "", "there are source and target");
}

void OpenModel::close() {
    const auto held = lock();
    model_.reset();
}

}  // namespace tomograph::python
