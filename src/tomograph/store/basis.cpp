#include "tomograph/store/basis.h"

#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/store/layout.h"

namespace tomograph {

std::unique_ptr<SafetensorsWriter> write_basis(const std::filesystem::path& file, const Basis& basis,
                                               const std::vector<SiteShape>& sites) {
    std::vector<TensorSpec> specs;
    for (std::size_t i = 0; i < sites.size(); ++i) {
        const std::string name = sites[i].site.name();
        specs.push_back({layout::basis_mean_tensor(name), Dtype::f32, {sites[i].width()}});
        specs.push_back(
            {layout::basis_components_tensor(name), Dtype::f32, {basis.sites[i].rank(), sites[i].width()}});
        specs.push_back({layout::basis_scale_tensor(name), Dtype::f32, {1}});
    }
    auto writer = std::make_unique<SafetensorsWriter>(file, specs);
    for (std::size_t i = 0; i < sites.size(); ++i) {
        const SiteBasis& site = basis.sites[i];
        writer->write(3 * i, 0, site.mean.data(), specs[3 * i].n_bytes());
        writer->write(3 * i + 1, 0, site.components.data(), specs[3 * i + 1].n_bytes());
        writer->write(3 * i + 2, 0, &site.scale, sizeof site.scale);
    }
    return writer;
}

SiteBasis read_basis(const Safetensors& file, const SiteShape& shape) {
    const std::string name = shape.site.name();
    const auto& mean = file.at(layout::basis_mean_tensor(name));
    const auto& components = file.at(layout::basis_components_tensor(name));
    const auto& scale = file.at(layout::basis_scale_tensor(name));
    const std::int64_t width = shape.width();
    SiteBasis basis{.mean = Vector(width), .components = Matrix(components.n_rows(), width)};
    const bool fits = mean.n_rows() == width && components.width() == width && components.n_rows() > 0 &&
                      scale.n_rows() == 1 && mean.dtype == Dtype::f32 && components.dtype == Dtype::f32 &&
                      scale.dtype == Dtype::f32;
    if (fits) {
        to_f32(mean.dtype, mean.bytes.data(), basis.mean.data(), static_cast<std::size_t>(width));
        components.read_rows(0, components.n_rows(), basis.components.data());
        scale.read_rows(0, 1, &basis.scale);
    }
    if (!fits || !(basis.scale > 0) || !std::isfinite(basis.scale))
        throw Error(file.path().string() + " does not fit its run", "it holds no axes of " + name,
                    "capture it again");
    return basis;
}

Basis basis_of(const std::filesystem::path& run, const std::vector<SiteShape>& sites) {
    const std::filesystem::path path = run / layout::kBasis;
    std::error_code error;
    if (!std::filesystem::exists(path, error))
        throw Error("no axes in " + run.string(), "it keeps no scores",
                    "name a run of capture --keep scores:K");
    const Safetensors file(path);
    Basis basis;
    for (const SiteShape& site : sites) basis.sites.push_back(read_basis(file, site));
    return basis;
}

}  // namespace tomograph
