// Stands in for llama.cpp's own log.h, of which its generator of tiny models uses this much.
#pragma once
#include <ggml.h>

#include <cstdio>

#define LOG_LEVEL_DEBUG 5
#define LOG_LEVEL_ERROR 1
#define LOG(...) std::fprintf(stderr, __VA_ARGS__)
#define LOG_INF(...) (void)0
#define LOG_ERR(...) std::fprintf(stderr, __VA_ARGS__)

inline int common_log_get_verbosity(ggml_log_level level) {
    return level == GGML_LOG_LEVEL_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG;
}
inline void common_log_set_verbosity_thold(int) {}
inline void* common_log_main() {
    return nullptr;
}
inline void common_log_flush(void*) {}
