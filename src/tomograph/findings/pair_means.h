#pragma once
// Averages over the headline layers of what was measured for each layer's pair. For use inside findings/
// only.
#include <algorithm>
#include <vector>

#include "tomograph/findings/site_rows.h"

namespace tomograph {

/// `Numbers` are those of one layer; `layers` are paired_layers().
template <class Numbers>
class PairMeans {
  public:
    PairMeans(const Subject& subject, const std::vector<int>& layers, const std::vector<Numbers>& numbers) {
        for (std::size_t i = 0; i < layers.size(); ++i) {
            if (subject.headline_layer(layers[i])) headline_.push_back(&numbers[i]);
        }
    }

    double mean(double Numbers::* member) const {
        std::vector<double> values;
        for (const Numbers* numbers : headline_) values.push_back(numbers->*member);
        return mean_of(values);
    }

    /// The mean over layers without the g-th group, for all g.
    std::vector<double> left_out(std::vector<double> Numbers::* member) const {
        std::size_t n = headline_.empty() ? 0 : (headline_.front()->*member).size();
        for (const Numbers* numbers : headline_) n = std::min(n, (numbers->*member).size());
        std::vector<double> means(n, 0.0);
        for (const Numbers* numbers : headline_) {
            for (std::size_t g = 0; g < n; ++g)
                means[g] += (numbers->*member)[g] / static_cast<double>(headline_.size());
        }
        return means;
    }

  private:
    std::vector<const Numbers*> headline_;
};

/// The table `separation`, a line for each of paired_layers(), made by the first who asks.
inline Json& pair_table(Subject& subject) {
    Json& table = subject.tables["separation"];
    if (table.is_null()) {
        table = Json::array();
        for (const int layer : paired_layers(subject))
            table.push_back({{"layer", layer}, {"rows", 2 * subject.sample.size()}});
    }
    return table;
}

}  // namespace tomograph
