#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <mutex>
#include <optional>
#include <thread>

#include "arrays.h"
#include "bindings.h"
#ifdef TOMOGRAPH_VIEWER
#include "tomograph/serve/report.h"
#include "tomograph/serve/server.h"
#endif

namespace tomograph::python {

using namespace nb::literals;

#ifdef TOMOGRAPH_VIEWER
namespace {

/// A viewer that serves until it is closed, and what is selected in its page.
class OpenView {
  public:
    OpenView(const std::vector<std::filesystem::path>& folders, ServeOptions options)
        : catalog_(folders), server_(catalog_, listening(std::move(options))) {
        server_.bind();
        thread_ = std::thread([this] { server_.run(); });
    }
    ~OpenView() { close(); }
    OpenView(const OpenView&) = delete;
    OpenView& operator=(const OpenView&) = delete;
    std::string url() const { return server_.url(); }
    /// What the page said last; nothing before it did.
    std::optional<PageSelection> selection() const {
        const std::lock_guard lock(mutex_);
        return selection_;
    }
    std::filesystem::path folder(std::size_t run) { return catalog_.run(run)->path(); }
    void close() {
        if (!thread_.joinable()) return;
        server_.stop();
        thread_.join();
    }

  private:
    ServeOptions listening(ServeOptions options) {
        options.selected = [this](PageSelection selection) {
            const std::lock_guard lock(mutex_);
            selection_ = std::move(selection);
        };
        return options;
    }

    mutable std::mutex mutex_;
    std::optional<PageSelection> selection_;
    Catalog catalog_;
    ViewServer server_;
    std::thread thread_;
};

/// (folder of the run, projection, rows) or None
nb::object selection_of(OpenView& view) {
    auto selection = view.selection();
    if (!selection) return nb::none();
    return nb::make_tuple(about_files([&] { return view.folder(selection->run); }), selection->projection,
                          array_of(std::move(selection->rows)));
}

}  // namespace

void bind_view(nb::module_& module) {
    nb::class_<OpenView>(module, "View")
        .def_prop_ro("url", &OpenView::url)
        .def_prop_ro("selection", &selection_of)
        .def("close", &OpenView::close, nb::call_guard<nb::gil_scoped_release>());
    module.def(
        "view",
        [](const std::vector<std::filesystem::path>& folders, int port, const std::string& token) {
            nb::gil_scoped_release released;
            return about_files([&] {
                ServeOptions options{.port = port, .token = token};
                options.framed = true;
                return std::make_unique<OpenView>(folders, std::move(options));
            });
        },
        "folders"_a, "port"_a, "token"_a);
    module.def(
        "write_report",
        [](const std::filesystem::path& folder, const std::filesystem::path& out) {
            nb::gil_scoped_release released;
            about_files([&] { write_viewer_report(folder, out); });
        },
        "folder"_a, "out"_a);
}
#else
void bind_view(nb::module_&) {}
#endif

}  // namespace tomograph::python
