#pragma once
// The one pass that reads every site's sampled rows. For use inside findings/ only.
#include <memory>
#include <optional>
#include <vector>

#include "tomograph/findings/finding.h"
#include "tomograph/findings/subject.h"
#include "tomograph/linear/moments.h"
#include "tomograph/linear/pca.h"

namespace tomograph {

/// One site's sampled rows while they are in memory. What several findings need of them is computed when
/// first asked for, once; one thread at a time.
class SiteRows {
  public:
    /// Errors: Error when a row holds NaN or Inf that its norm hides.
    SiteRows(Subject& subject, std::size_t index);

    const Subject& subject() const { return subject_; }
    std::size_t index() const { return index_; }  ///< among the subject's sites
    const Site& site() const { return subject_.sites[index_]; }
    bool headline() const { return subject_.headline(site()); }
    const Matrix& rows() const { return rows_; }  ///< [sample, d_model]
    const Moments& moments();
    const Pca& pca();  ///< all components
    /// Its rows are all equal, up to rounding.
    bool constant();
    /// Its line in the table `sites`.
    Json& line() { return subject_.site_lines[index_]; }

  private:
    Subject& subject_;
    std::size_t index_;
    Matrix rows_;
    std::optional<Moments> moments_;
    std::optional<Pca> pca_;
};

/// How far apart a layer's two clouds lie, by cosine silhouette.
struct Silhouettes {
    double value = kNoNumber;
    double shuffled = kNoNumber;   ///< 97.5 % of shuffled labels; none of a twin
    std::vector<double> left_out;  ///< the value without each group of sequences; none of a twin
};

/// Attention's and the MLP's outputs of one layer.
class LayerPair {
  public:
    LayerPair(const Subject& subject, SiteRows& attention, SiteRows& mlp, std::size_t index);

    const Subject& subject() const { return subject_; }
    std::size_t index() const { return index_; }  ///< among the layers with both
    int layer() const { return attention.site().layer; }
    bool headline() const { return subject_.headline_layer(layer()); }
    /// Their unit vectors stacked, attention's first, [2 n, d_model], and each row's group.
    const Matrix& unit();
    const std::vector<std::int32_t>& group() const { return group_; }

    const Silhouettes& silhouettes();

    SiteRows& attention;
    SiteRows& mlp;

  private:
    const Subject& subject_;
    std::size_t index_;
    std::vector<std::int32_t> group_;
    std::optional<Matrix> unit_;
    std::optional<Silhouettes> silhouettes_;
};

/// Labels of the 2 n stacked rows, 0 for attention; shuffle 0 is the truth, others swap the two of a token at
/// random, so that each sequence keeps as many of each.
std::vector<std::int8_t> pair_labels(std::int64_t n, std::uint64_t seed, int shuffle);

/// Fewest rows that two clouds are compared by.
inline constexpr Eigen::Index kFewestPairs = 8;

/// The layers at which the subject's run has both outputs, ascending: LayerPair::index() counts them.
std::vector<int> paired_layers(const Subject& subject);
/// Why attention cannot be held against the MLP; empty: it can.
std::string lacks_pairs(const Subject& subject);

class OutlierBoard;
/// Reads each site once and shows it to all measurements and, unless it is null, to the board.
/// Errors: as SiteRows(); Stopped.
void visit_sites(Subject& subject, const std::vector<std::unique_ptr<Measurement>>& measurements,
                 OutlierBoard* board);

}  // namespace tomograph
