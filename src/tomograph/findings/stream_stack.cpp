#include "tomograph/findings/stream_stack.h"

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"

namespace tomograph {

StreamStack read_stack(const Subject& subject) {
    constexpr std::int64_t kMostBytes = 350'000'000;  // of a large model fewer rows
    constexpr std::int64_t kFewestRows = 8;
    StreamStack stack;
    stack.why_not = subject.lacks_stream();
    if (!stack.why_not.empty()) return stack;
    const Run& run = subject.run;
    for (const Site& site : vector_sites(run)) {
        if (site.component == *subject.stream && subject.census.has(site)) stack.sites.push_back(site);
    }
    if (stack.sites.size() < 2) {
        stack.why_not = "one layer only";
        return stack;
    }
    if (subject.sample.size() < kFewestRows) {
        stack.why_not = "too few rows";
        return stack;
    }
    const std::int64_t most = std::max<std::int64_t>(
        64, kMostBytes / (4 * run.d_model() * static_cast<std::int64_t>(stack.sites.size())));
    std::vector<std::int64_t> rows;
    for (const std::int64_t i : sample_indices(subject.sample.size(), most, subject.options.seed)) {
        rows.push_back(subject.sample.rows[static_cast<std::size_t>(i)]);
        stack.group.push_back(subject.sample.group[static_cast<std::size_t>(i)]);
    }
    stack.layers.resize(stack.sites.size());
    subject.progress.begin("reading the stream", static_cast<std::int64_t>(stack.sites.size()), "layers");
    parallel_for(static_cast<std::int64_t>(stack.sites.size()), subject.threads, [&](std::int64_t l) {
        if (subject.progress.stop_requested()) throw Stopped("no measure was written");
        const auto at = static_cast<std::size_t>(l);
        stack.layers[at] = read_sample(run, stack.sites[at], rows);
        run.release();
    });
    subject.progress.end();
    return stack;
}

}  // namespace tomograph
