#include "tomograph/figures/palette.h"

#include <nanobind/stl/string.h>

#include "bindings.h"

namespace tomograph::python {

using namespace nb::literals;

void bind_palette(nb::module_& module) {
    module.def("category_color", &category_color, "i"_a);
    module.def(
        "component_color", [](const std::string& name) { return component_color(name); }, "component"_a);
    module.def(
        "map_color",
        [](bool diverging, double t) {
            return map_color(diverging ? ColorMap::diverging : ColorMap::sequential, t);
        },
        "diverging"_a, "t"_a);
}

}  // namespace tomograph::python
