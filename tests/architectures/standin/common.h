// Stands in for llama.cpp's own common.h, of which its generator of tiny models uses this much.
#pragma once
#include <llama-cpp.h>

#include <cstdint>

inline void common_init() {}

struct common_batch {
    explicit common_batch(llama_context* context) : batch(llama_batch_ext_init(context)) {}
    std::int32_t add(llama_token id, llama_pos position, llama_seq_id sequence, bool output) {
        const std::int32_t at = llama_batch_ext_add_token(batch.get(), sequence, id);
        llama_batch_ext_set_pos(batch.get(), at, &position);
        llama_batch_ext_set_output_logits(batch.get(), at, output);
        return at;
    }
    void clear() { llama_batch_ext_clear(batch.get()); }
    llama_batch_ext* get() { return batch.get(); }

    llama_batch_ext_ptr batch;
};
