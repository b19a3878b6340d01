#pragma once
// What a run's vectors say of the model's answer before it is given: made by a lens (lens/), kept with the
// run in measures/lens.json, read by the finding answer_depth, by figures and by the command line.
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/findings/chart.h"
#include "tomograph/statistics/statistics.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Two ways of reading a vector: through the model's last norm and unembedding as it stands, or through an
/// affine map of its own into what the last norm gives.
enum class LensKind { logit, ridge };
const char* lens_name(LensKind lens);

/// What one reading of a site says, against the answer of the same token and of another one.
struct LensNumbers {
    std::vector<double> kl;        ///< [sequences] mean divergence of the reading from the answer, nats
    std::vector<double> log_rank;  ///< [sequences] mean logarithm of the rank of the token that came
    std::vector<double> agrees;    ///< [sequences] share whose most probable token is the answer's
};

struct LensSeries {
    Site site{};
    LensKind lens = LensKind::logit;
    LensNumbers own;      ///< against the answer at the same token
    LensNumbers shifted;  ///< against the answer at another token of the sequence: what chance gives
    double penalty = kNoNumber, explained = kNoNumber;  ///< of the ridge lens: AffineMap
};

/// Are the readings of the last layer the model's own answers? Found by reading the text once more.
struct LensCheck {
    std::int64_t tokens = 0;  ///< 0: it was not checked
    double kl = kNoNumber;    ///< mean over them
    double tolerance = kNoNumber;
    std::string unchecked;  ///< why not; empty: it was
};

struct LensTable {
    std::int64_t n_tokens = 0;  ///< of the run
    int n_layers = 0;
    std::vector<std::int32_t> sequences;  ///< whose tokens were read
    std::vector<std::int64_t> rows;       ///< [sequences] how many
    std::int64_t fitted_on = 0;           ///< tokens that a ridge lens was fitted on, of other sequences
    LensNumbers final;                    ///< the answer itself: kl is 0
    LensNumbers unigram;                  ///< the mean answer over other sequences, whatever the token
    std::vector<LensSeries> series;       ///< in network order, logit before ridge
    LensCheck check;

    const LensSeries* find(const Site& site, LensKind lens) const;
    std::int64_t n_rows() const;
};

Json lens_json(const LensTable& table);
/// Errors: JSON's own; Error when the parts do not fit each other.
LensTable lens_from_json(const Json& json);

/// measures/lens.json of the run's folder.
void save_lens(const Run& run, const LensTable& table);
/// Nothing where there is none, or where it is of other tokens than the run has now. Errors: Error for a file
/// that is broken.
std::optional<LensTable> load_lens(const Run& run);

/// Mean over tokens of numbers that are means over sequences; `weights` [sequences]: how often each counts.
double lens_mean(const LensTable& table, const std::vector<double>& by_sequence,
                 std::span<const double> weights = {});

/// Where the stream first says the answer.
struct AnswerDepth {
    /// First layer after whose block half of what the mean answer lacks is known: where the divergence is
    /// under half of the mean answer's. -1: none.
    int by_kl = -1;
    /// First layer from which on the most probable token is the answer's for half of the tokens or more.
    int by_top = -1;
};
AnswerDepth answer_depth(const LensTable& table, LensKind lens, bool shifted = false,
                         std::span<const double> weights = {});
/// The same as a share of the model's layers, 1 for the last or none.
double depth_share(int layer, int n_layers);

/// Divergence and rank by layer. `twins`: tables of untrained twins.
std::vector<Chart> lens_charts(const LensTable& table, const std::vector<LensTable>& twins);

/// For a terminal.
std::string lens_text(const LensTable& table, const std::vector<LensTable>& twins);

}  // namespace tomograph
