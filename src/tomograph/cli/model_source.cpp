#include "tomograph/cli/model_source.h"

#include "tomograph/cli/options.h"
#include "tomograph/sources/hub.h"

namespace tomograph {

std::string find_model(const std::string& name, Progress& progress) {
    if (!is_hub_name(name)) return name;
    const HubName parsed = as_usage([&] { return parse_hub_name(name); });
    const HubModel model = fetch_hub_model(parsed, hub_options(), progress);
    print_notes(model.notes);
    return model.path.string();
}

}  // namespace tomograph
