#pragma once
#include <sys/resource.h>

#include <csignal>

namespace tomograph::test {

/// While it lives, this process cannot write past `bytes` of a file: what a full disk looks like from inside.
class FileSizeLimit {
  public:
    explicit FileSizeLimit(rlim_t bytes) : old_signal_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &old_limit_);
        const rlimit limit{bytes, old_limit_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &old_limit_);
        std::signal(SIGXFSZ, old_signal_);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;

  private:
    using Handler = void (*)(int);
    Handler old_signal_;
    rlimit old_limit_{};
};

}  // namespace tomograph::test
