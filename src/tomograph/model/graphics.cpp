#include "tomograph/model/graphics.h"

#include <fmt/format.h>
#include <ggml-backend.h>

#include <string_view>

#include "tomograph/base/error.h"
#include "tomograph/model/llama_log.h"
#include "tomograph/model/workers.h"

namespace tomograph {
namespace {

int& layers() {
    static int n = -1;
    return n;
}

}  // namespace

std::vector<std::string> graphics_cards() {
    start_llama();
    std::vector<std::string> cards;
    for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        ggml_backend_dev_t device = ggml_backend_dev_get(i);
        const auto type = ggml_backend_dev_type(device);
        const bool card = type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
        const std::string_view backend = ggml_backend_reg_name(ggml_backend_dev_backend_reg(device));
        if (card && !backend.starts_with("RPC"))
            cards.push_back(
                fmt::format("{} ({})", ggml_backend_dev_name(device), ggml_backend_dev_description(device)));
    }
    return cards;
}

void use_gpu_layers(int n_layers) {
    if (n_layers > 0 && workers().empty() && graphics_cards().empty())
        throw Error("no layer can be laid onto a graphics card",
                    "this program was built for processors alone, or finds no card here",
                    "leave --gpu-layers away, or build with scripts/setup --gpu and cmake -DTOMOGRAPH_GPU");
    layers() = n_layers;
}

int gpu_layers() {
    return layers();
}

}  // namespace tomograph
