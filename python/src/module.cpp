#include <nanobind/nanobind.h>

#include <string>

#include "bindings.h"
#include "tomograph/base/version.h"

namespace {

namespace nb = nanobind;
using namespace tomograph;

void raise(const char* kind, const char* text) {
    // Messages may hold a path's bytes, which need not be UTF-8.
    PyObject* words = PyUnicode_DecodeUTF8(
        text, static_cast<Py_ssize_t>(std::char_traits<char>::length(text)), "surrogateescape");
    if (words == nullptr) return;
    const nb::object message = nb::steal(words);
    try {
        const nb::object type = nb::module_::import_("tomograph._errors").attr(kind);
        PyErr_SetObject(type.ptr(), message.ptr());
    } catch (nb::python_error& error) {
        error.restore();
    }
}

void translate(const std::exception_ptr& thrown, void*) {
    try {
        std::rethrow_exception(thrown);
    } catch (const python::FileError& error) {
        raise("FileError", error.what());
    } catch (const Error& error) {
        raise("InputError", error.what());
    } catch (const Stopped& stopped) {
        PyErr_SetString(PyExc_KeyboardInterrupt, stopped.what());
    }
}

}  // namespace

NB_MODULE(_core, module) {
    module.doc() =
        "tomograph's rooms, as the Python side uses them; nothing here is meant to be called directly";
    nb::register_exception_translator(translate);
    module.attr("version") = kVersion;
    python::bind_runs(module);
    python::bind_projections(module);
    python::bind_estimators(module);
    python::bind_statistics(module);
    python::bind_findings(module);
    python::bind_models(module);
    python::bind_capture(module);
    python::bind_lens(module);
    python::bind_tools(module);
    python::bind_exchange(module);
    python::bind_palette(module);
    python::bind_view(module);
}
