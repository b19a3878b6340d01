#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/progress.h"
#include "tomograph/base/range.h"
#include "tomograph/exchange/control_vector.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// How a direction between two groups of rows is found.
enum class DirectionMethod {
    mean,   ///< the difference of the groups' means
    probe,  ///< the normal of a logistic regression's boundary
    pca,    ///< the first component, through the origin, of the differences of pairs
};

struct DirectionOptions {
    std::string from, to;  ///< labels of the run; the direction leads from the first to the second
    Component component = Component::resid_post;
    Range layers;
    DirectionMethod method = DirectionMethod::mean;
    std::int64_t rows = 2000;  ///< at most so many of both labels a layer, drawn by seed
    int folds = 5;             ///< of whole sequences where both labels have as many
    /// Fits to permuted labels: where one label fills a sequence, the sequences' labels change places, else
    /// the rows' within their sequence. Default 20.
    int permutations = 20;
    std::uint64_t seed = 42;
    int threads = 0;
};

/// How well a direction tells two groups apart, at one layer.
struct LayerDirection {
    int layer = 0;
    /// [d], from all rows. As long as the difference of the means is along it, so that adding it once leads
    /// one mean, seen along it, to the other.
    Vector direction;
    double auroc = 0;       ///< of held-out rows
    double null_mean = 0;   ///< the same under permuted labels
    double null_high = 0;   ///< their 95 % quantile
    double p = 1;           ///< (1 + permutations that reach auroc) / (1 + permutations)
    double norm_share = 0;  ///< the direction's length over the rows' mean norm
};

struct DirectionReport {
    DirectionOptions options;
    std::string architecture;           ///< of the run's model
    std::int64_t n_from = 0, n_to = 0;  ///< rows a layer
    std::vector<LayerDirection> layers;
    MatrixD cosines;  ///< [layers, layers] between their directions
    std::vector<std::string> notes;
};

/// Errors: Error when the run lacks a label or the component's vectors, or a label has fewer than 4 rows;
/// Stopped.
DirectionReport find_directions(const Run& run, const DirectionOptions& options,
                                Progress& progress = no_progress());

/// Directions of rows x [n, d] whose `label` [n] is 0 or 1, by a method. `pair` [n]: rows of different label
/// and equal number are a pair; pca alone looks at it, and rows without a partner are left out.
Vector fit_direction(const Matrix& x, const std::vector<std::uint8_t>& label,
                     const std::vector<std::int32_t>& pair, DirectionMethod method);

/// For llama.cpp: a direction found at resid_pre of block N is added to what leaves block N - 1, any other to
/// what leaves its own. Block 0 of a control vector does not exist, and `notes` says so.
ControlVector control_vector(const DirectionReport& report, std::vector<std::string>& notes);

Json direction_json(const DirectionReport& report);
std::string direction_table(const DirectionReport& report);

DirectionMethod parse_direction_method(const std::string& text);

}  // namespace tomograph
