#pragma once
// The stream's rows at all layers at once. For use inside findings/ only.
#include <string>
#include <vector>

#include "tomograph/findings/subject.h"

namespace tomograph {

struct StreamStack {
    std::string why_not;      ///< empty: all below is there
    std::vector<Site> sites;  ///< by layer
    std::vector<std::int32_t> group;
    std::vector<Matrix> layers;  ///< [sites] of [group.size(), d_model]: the same rows

    Json layer_numbers() const {
        Json list = Json::array();
        for (const Site& site : sites) list.push_back(site.layer);
        return list;
    }
};

/// Use Subject::stack(). Errors: Stopped.
StreamStack read_stack(const Subject& subject);

}  // namespace tomograph
