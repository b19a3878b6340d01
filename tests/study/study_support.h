#pragma once
#include "tomograph/study/study.h"

namespace tomograph::test {

/// Short texts, one twin of each kind, one thread.
inline StudyOptions small_study(std::int64_t sequences) {
    StudyOptions options;
    options.sequences = sequences;
    options.length = 16;
    options.threads = 1;
    options.twins = 1;
    return options;
}

}  // namespace tomograph::test
