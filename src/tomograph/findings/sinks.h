#pragma once
// Tokens whose norm is of another order than all others': a few take most of a site's variance, and whether
// one is in a sample would decide every number. They are found by norm, left out of what compares rows, and
// described apart.
#include <cstdint>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// A sink's norm is above so many times the site's median, at any captured site of the residual stream.
inline constexpr double kSinkRatio = 10;

struct Sink {
    std::int64_t token = 0;  ///< index into Run::tokens()
    Site site{};             ///< where it stands out most
    double ratio = 0;        ///< its norm there over the median
    int born = 0, ends = 0;  ///< first and last layer at whose sites it is a sink
};

/// How many sinks a site of the stream has.
struct SinkCount {
    Site site{};
    std::int64_t first = 0, elsewhere = 0;  ///< at position 0; at others
};

/// By site of the stream, in network order.
std::vector<SinkCount> count_sinks(const Run& run);

/// All tokens that are sinks, ascending. By the norms of all tokens, or of the stored rows where a run has no
/// norms. Norms that are no number are left out.
std::vector<Sink> find_sinks(const Run& run);

/// The census:
/// {"ratio","sinks","tokens","at_first_position","precision","recall","born","ends","by_site","start_token",
/// "coordinates","list"}.
/// `precision` is the share of first positions that are sinks, `recall` the share of sinks that stand there;
/// null without any. `born` and `ends` count sinks by layer, `coordinates` those that carry most of the
/// sinks' squared norm at the site where most stand out; of `list` the 100 strongest. `start_token`: where
/// all sequences begin with one token, how often it stands elsewhere and how often that is a sink; else null.
Json describe_sinks(const Run& run, const std::vector<Sink>& sinks);

/// Of a run with a start token planted inside each sequence, against the run of the text without:
/// {"token_id","position","sequences","sinks","share","interval","ratio","before"}. `sinks` of the planted
/// tokens are sinks, `share` of them with its exact 95 % interval; `ratio`: the median of their largest norms
/// over the stream's median. `before` says the same (`sinks`, `ratio`) of the tokens that stood there, of the
/// sequences that the run has, too; null where it has none.
Json describe_planted(const Run& planted, const Run& text);

/// For a terminal, two lines; empty where there is none.
std::string sinks_text(const Json& census);

}  // namespace tomograph
