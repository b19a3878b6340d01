// Logits are reserved for every token of a batch, so a large vocabulary makes batches small.
#include <ggml.h>
#include <gguf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "engine_support.h"
#include "support/golden.h"
#include "support/temp_folder.h"

namespace tomograph {
namespace {

using namespace test;

constexpr std::int64_t kTokens = 300'000;  // more than any model of today: 128 tokens a batch

/// The golden llama with its 256 tokens over and over.
void write_large_vocabulary(const std::filesystem::path& path) {
    ggml_context* raw = nullptr;
    const std::unique_ptr<gguf_context, decltype(&gguf_free)> whole(
        gguf_init_from_file(golden_model("llama").c_str(), {.no_alloc = false, .ctx = &raw}), &gguf_free);
    const std::unique_ptr<ggml_context, decltype(&ggml_free)> tensors(raw, &ggml_free);
    ASSERT_NE(whole, nullptr);
    const std::unique_ptr<gguf_context, decltype(&gguf_free)> out(gguf_init_empty(), &gguf_free);
    for (std::int64_t key = 0; key < gguf_get_n_kv(whole.get()); ++key) {
        const char* name = gguf_get_key(whole.get(), key);
        if (std::strncmp(name, "tokenizer.", 10) == 0) continue;
        switch (gguf_get_kv_type(whole.get(), key)) {
            case GGUF_TYPE_UINT32:
                gguf_set_val_u32(out.get(), name, gguf_get_val_u32(whole.get(), key));
                break;
            case GGUF_TYPE_FLOAT32:
                gguf_set_val_f32(out.get(), name, gguf_get_val_f32(whole.get(), key));
                break;
            case GGUF_TYPE_STRING:
                gguf_set_val_str(out.get(), name, gguf_get_val_str(whole.get(), key));
                break;
            default:
                FAIL() << name << " is of another type";
        }
    }
    gguf_set_val_str(out.get(), "tokenizer.ggml.model", "no_vocab");
    gguf_set_val_u32(out.get(), "llama.vocab_size", static_cast<std::uint32_t>(kTokens));
    const ggml_tensor* table = ggml_get_tensor(raw, "token_embd.weight");
    const std::size_t row = ggml_row_size(table->type, table->ne[0]);
    const std::unique_ptr<ggml_context, decltype(&ggml_free)> larger(
        ggml_init({.mem_size = row * kTokens + 4096, .mem_buffer = nullptr, .no_alloc = false}), &ggml_free);
    ggml_tensor* repeated = ggml_new_tensor_2d(larger.get(), table->type, table->ne[0], kTokens);
    ggml_set_name(repeated, table->name);
    for (std::int64_t token = 0; token < kTokens; ++token)
        std::memcpy(static_cast<char*>(repeated->data) + static_cast<std::size_t>(token) * row,
                    static_cast<const char*>(table->data) + static_cast<std::size_t>(token % 256) * row, row);
    for (ggml_tensor* t = ggml_get_first_tensor(raw); t != nullptr; t = ggml_get_next_tensor(raw, t)) {
        if (gguf_find_tensor(whole.get(), t->name) < 0 || std::strcmp(t->name, "output.weight") == 0)
            continue;
        gguf_add_tensor(out.get(), t == table ? repeated : t);
    }
    ASSERT_TRUE(gguf_write_to_file(out.get(), path.c_str(), false));
}

TEST(LargeVocabulary, IsReadInSmallBatches) {
    const TempFolder folder;
    write_large_vocabulary(folder / "large.gguf");
    const Model large = Model::open((folder / "large.gguf").string());
    const Model small = Model::open(golden_model("llama"));
    for (const std::int64_t length : {128, 16}) {
        const auto engine = large.make_engine(exact(length));
        EXPECT_LE(engine->batch_tokens(), 128);
        // As many sequences as there is room for: one token each.
        const Sequences sequences = random_sequences(std::vector<std::int64_t>(200, 1), 256);
        const std::size_t n = engine->next_batch(sequences);
        EXPECT_EQ(n, static_cast<std::size_t>(engine->batch_tokens()));
        const Sequences batch(sequences.begin(), sequences.begin() + static_cast<std::ptrdiff_t>(n));
        const WorstSite worst =
            worst_site(record(*engine, batch), record(*small.make_engine(exact(length)), batch));
        EXPECT_LE(worst.error, 1e-6) << worst.site;
    }
}

}  // namespace
}  // namespace tomograph
