#pragma once
#include <cstdint>
#include <memory>

#include "tomograph/store/dtype.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// One site's vectors in one shard as they lie in its file, for whoever needs no copy. The file is mapped for
/// this alone and stays so as long as `file` lives, whatever becomes of the Run.
struct StoredRows {
    std::shared_ptr<const void> file;
    const std::byte* data = nullptr;  ///< [end - begin, width]; need not be aligned
    Dtype dtype = Dtype::f32;
    std::int64_t begin = 0, end = 0;  ///< rows of the run
};

/// Shards that the run has; with --no-vectors their rows are none.
std::size_t shard_count(const Run& run);

/// begin == end where no vector of the shard was kept; no data where scores stand for them, or other sites
/// add up to them: then Run::read_rows has them. Errors: Error when there is no such shard, the run has no
/// such site or keeps none of its vectors, or the file is missing or does not fit.
StoredRows stored_rows(const Run& run, const Site& site, std::size_t shard);

}  // namespace tomograph
