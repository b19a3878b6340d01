#include "tomograph/model/randomize.h"

#include <ggml.h>
#include <gguf.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <span>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/model/gguf_file.h"
#include "tomograph/model/llama_log.h"
#include "tomograph/model/model.h"

namespace tomograph {
namespace {

struct ContextDeleter {
    void operator()(ggml_context* context) const { ggml_free(context); }
};

/// Mean and mean square of a tensor's values.
struct Scale {
    double mean = 0;
    double square = 0;
};

/// A tensor as a table of rows along its first extent.
struct Table {
    const std::byte* data;
    ggml_type type;
    std::int64_t width;
    std::int64_t n_rows;

    explicit Table(const ggml_tensor* tensor, const std::byte* bytes)
        : data(bytes), type(tensor->type), width(tensor->ne[0]), n_rows(ggml_nrows(tensor)) {}
    std::size_t row_bytes() const { return ggml_row_size(type, width); }
    void read(std::int64_t row, float* out) const {
        const std::byte* at = data + static_cast<std::size_t>(row) * row_bytes();
        if (type == GGML_TYPE_F32)
            std::memcpy(out, at, static_cast<std::size_t>(width) * sizeof(float));
        else
            ggml_get_type_traits(type)->to_float(at, out, width);
    }
};

constexpr std::int64_t kBlockRows = 256;

Scale measure(const Table& table, int threads) {
    const std::int64_t n_blocks = (table.n_rows + kBlockRows - 1) / kBlockRows;
    std::vector<Scale> parts(static_cast<std::size_t>(n_blocks));
    parallel_for(n_blocks, threads, [&](std::int64_t block) {
        std::vector<float> row(static_cast<std::size_t>(table.width));
        Scale& part = parts[static_cast<std::size_t>(block)];
        for (std::int64_t r = block * kBlockRows; r < std::min(table.n_rows, (block + 1) * kBlockRows); ++r) {
            table.read(r, row.data());
            for (const float value : row) {
                part.mean += value;
                part.square += static_cast<double>(value) * value;
            }
        }
    });
    Scale sum;
    for (const Scale& part : parts) {
        sum.mean += part.mean;
        sum.square += part.square;
    }
    const auto n = static_cast<double>(table.n_rows * table.width);
    return {sum.mean / n, sum.square / n};
}

bool stays(const ggml_tensor* tensor) {
    const std::string name = tensor->name;
    const bool numbers =
        tensor->type == GGML_TYPE_F32 || ggml_get_type_traits(tensor->type)->to_float != nullptr;
    return !numbers || name.find("rope_") != std::string::npos;
}

/// FNV-1a: the same for a name on every machine.
std::uint64_t hash_of(const std::string& name) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return hash;
}

/// Rows of float32 as the file has them.
std::vector<std::byte> packed(const float* values, std::int64_t n_rows, std::int64_t width, ggml_type type) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(n_rows) * ggml_row_size(type, width));
    if (type == GGML_TYPE_F32)
        std::memcpy(bytes.data(), values, bytes.size());
    else
        ggml_quantize_chunk(type, values, bytes.data(), 0, n_rows, width, nullptr);
    return bytes;
}

/// Where a tensor is written to.
struct Target {
    AtomicFile& file;
    std::uint64_t offset;
    ggml_type type;

    void write(std::int64_t row, const float* values, std::int64_t n_rows, std::int64_t width) const {
        const auto bytes = packed(values, n_rows, width, type);
        file.write_at(offset + static_cast<std::uint64_t>(row) * ggml_row_size(type, width), bytes.data(),
                      bytes.size());
    }
};

/// Calls work(begin, n) for blocks of rows.
template <class Work>
void by_blocks(std::int64_t n_rows, int threads, const Work& work) {
    parallel_for((n_rows + kBlockRows - 1) / kBlockRows, threads, [&](std::int64_t block) {
        const std::int64_t begin = block * kBlockRows;
        work(begin, std::min(n_rows - begin, kBlockRows));
    });
}

void write_gaussian(const Target& target, const Table& table, std::uint64_t seed, int threads) {
    const Scale scale = measure(table, threads);
    const bool vector = table.n_rows == 1;
    const double mean = vector ? scale.mean : 0;
    const double deviation = std::sqrt(std::max(0.0, scale.square - mean * mean));
    by_blocks(table.n_rows, threads, [&](std::int64_t begin, std::int64_t n) {
        std::vector<float> values(static_cast<std::size_t>(n * table.width));
        for (std::int64_t r = 0; r < n; ++r) {
            Rng rng(mix(seed, static_cast<std::uint64_t>(begin + r)));
            const std::span<float> row(values.data() + r * table.width,
                                       static_cast<std::size_t>(table.width));
            draw_normals(rng, row);
            for (float& value : row)
                value = static_cast<float>(mean + deviation * static_cast<double>(value));
        }
        target.write(begin, values.data(), n, table.width);
    });
}

/// One round of a random walk on the rotations of n coordinates: who meets whom, and by what angle they turn.
/// With n odd, the last of the order waits.
struct Round {
    std::vector<std::int64_t> order;  // [n]
    std::vector<float> cosine, sine;  // [n / 2]

    Round(std::int64_t n, std::uint64_t seed) : order(permutation(n, seed)) {
        Rng rng(mix(seed, 0xa791e));
        for (std::int64_t i = 0; i < n / 2; ++i) {
            const double angle = 2 * std::numbers::pi * rng.uniform();
            cosine.push_back(static_cast<float>(std::cos(angle)));
            sine.push_back(static_cast<float>(std::sin(angle)));
        }
    }
};

std::vector<Round> random_walk(std::int64_t n, std::uint64_t seed) {
    std::vector<Round> rounds;
    if (n < 2) return rounds;
    const int count = 2 * static_cast<int>(std::ceil(std::log2(static_cast<double>(n)))) + 8;
    for (int r = 0; r < count; ++r) rounds.emplace_back(n, mix(seed, static_cast<std::uint64_t>(r)));
    return rounds;
}

inline void turn(float& a, float& b, float cosine, float sine) {
    const float first = cosine * a - sine * b;
    b = sine * a + cosine * b;
    a = first;
}

/// Both bases of a matrix [n_rows, width] turned at random, in place.
void turn_bases(float* values, std::int64_t n_rows, std::int64_t width, std::uint64_t seed, int threads) {
    const std::vector<Round> of_columns = random_walk(width, mix(seed, 1));
    by_blocks(n_rows, threads, [&](std::int64_t begin, std::int64_t n) {
        for (float* row = values + begin * width; row < values + (begin + n) * width; row += width) {
            for (const Round& round : of_columns) {
                for (std::size_t i = 0; i < round.cosine.size(); ++i)
                    turn(row[round.order[2 * i]], row[round.order[2 * i + 1]], round.cosine[i],
                         round.sine[i]);
            }
        }
    });
    for (const Round& round : random_walk(n_rows, mix(seed, 2))) {
        by_blocks(n_rows / 2, threads, [&](std::int64_t begin, std::int64_t n) {
            for (std::int64_t i = begin; i < begin + n; ++i) {
                const auto at = static_cast<std::size_t>(i);
                float *a = values + round.order[2 * at] * width,
                      *b = values + round.order[2 * at + 1] * width;
                for (std::int64_t c = 0; c < width; ++c) turn(a[c], b[c], round.cosine[at], round.sine[at]);
            }
        });
    }
}

/// A stack of matrices, as a mixture's experts are, turns one by one.
void write_turned(const Target& target, const Table& table, std::int64_t rows_of_one, std::uint64_t seed,
                  int threads) {
    std::vector<float> values(static_cast<std::size_t>(rows_of_one * table.width));
    for (std::int64_t first = 0; first < table.n_rows; first += rows_of_one) {
        by_blocks(rows_of_one, threads, [&](std::int64_t begin, std::int64_t n) {
            for (std::int64_t r = begin; r < begin + n; ++r)
                table.read(first + r, values.data() + r * table.width);
        });
        turn_bases(values.data(), rows_of_one, table.width, mix(seed, static_cast<std::uint64_t>(first)),
                   threads);
        by_blocks(rows_of_one, threads, [&](std::int64_t begin, std::int64_t n) {
            target.write(first + begin, values.data() + begin * table.width, n, table.width);
        });
    }
}

void write_random(const Target& target, const ggml_tensor* tensor, const std::byte* bytes,
                  const RandomizeOptions& options) {
    const int threads = thread_count(options.threads);
    const Table table(tensor, bytes);
    const std::uint64_t seed = mix(options.seed, hash_of(tensor->name));
    ggml_quantize_init(target.type);
    if (options.keep == TwinKeeps::spectrum && table.n_rows > 1)
        write_turned(target, table, tensor->ne[1], seed, threads);
    else
        write_gaussian(target, table, seed, threads);
}

/// One file of the model, with its tensors' shapes.
struct Part {
    explicit Part(const std::string& path) : mapped(path) {
        ggml_context* raw = nullptr;
        gguf.reset(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = &raw}));
        tensors.reset(raw);
        if (!gguf || !tensors) throw Error("cannot read " + path, last_llama_error(), "");
    }
    Gguf gguf;
    std::unique_ptr<ggml_context, ContextDeleter> tensors;
    MappedFile mapped;
};

}  // namespace

RandomizeSummary randomize(const std::string& in, const std::filesystem::path& out,
                           const RandomizeOptions& options) {
    start_llama();
    const ModelFile file_given(in);
    std::vector<Part> parts;
    for (const ModelPart& part : open_parts(file_given.path(), in)) {  // checks them
        std::error_code error;
        if (std::filesystem::equivalent(part.path, out, error))
            throw Error("cannot randomize " + in + " onto itself", "", "name another output");
        parts.emplace_back(part.path);
    }

    RandomizeSummary summary;
    const Gguf twin(gguf_init_empty());
    gguf_set_kv(twin.get(), parts.front().gguf.get());
    // The twin is one file.
    for (const char* key : {"split.no", "split.count", "split.tensors.count"})
        gguf_remove_key(twin.get(), key);
    const bool spectrum = options.keep == TwinKeeps::spectrum;
    gguf_set_val_str(twin.get(), "general.name",
                     (gguf_string(twin.get(), "general.name").value_or("model") +
                      (spectrum ? " (spectrum twin)" : " (random twin)"))
                         .c_str());
    gguf_set_val_str(twin.get(), kTwinKey, spectrum ? "spectrum" : "gaussian");
    for (const Part& part : parts) {
        for (ggml_tensor* tensor = ggml_get_first_tensor(part.tensors.get()); tensor != nullptr;
             tensor = ggml_get_next_tensor(part.tensors.get(), tensor)) {
            gguf_add_tensor(twin.get(), tensor);
            ++summary.n_tensors;
            const bool writable = tensor->type == GGML_TYPE_F32 ||
                                  (ggml_get_type_traits(tensor->type)->from_float_ref != nullptr &&
                                   !ggml_quantize_requires_imatrix(tensor->type));
            if (stays(tensor) || writable) continue;
            gguf_set_tensor_type(twin.get(), tensor->name, GGML_TYPE_F16);
            summary.widened.emplace_back(tensor->name);
        }
    }

    std::vector<std::byte> header(gguf_get_meta_size(twin.get()));
    gguf_get_meta_data(twin.get(), header.data());
    const std::uint64_t begin = header.size();
    std::uint64_t end = begin;
    const std::size_t alignment = gguf_get_alignment(twin.get());
    for (std::int64_t i = 0; i < gguf_get_n_tensors(twin.get()); ++i) {
        const std::uint64_t size = gguf_get_tensor_size(twin.get(), i);
        end = std::max(end, begin + gguf_get_tensor_offset(twin.get(), i) +
                                (size + alignment - 1) / alignment * alignment);
    }
    AtomicFile file(out);
    file.reserve(end);
    file.write_at(0, header.data(), header.size());
    for (const Part& part : parts) {
        for (std::int64_t from = 0; from < gguf_get_n_tensors(part.gguf.get()); ++from) {
            const char* tensor_name = gguf_get_tensor_name(part.gguf.get(), from);
            const ggml_tensor* tensor = ggml_get_tensor(part.tensors.get(), tensor_name);
            const std::int64_t to = gguf_find_tensor(twin.get(), tensor_name);
            const std::byte* bytes = part.mapped.bytes().data() + gguf_get_data_offset(part.gguf.get()) +
                                     gguf_get_tensor_offset(part.gguf.get(), from);
            const std::uint64_t offset = begin + gguf_get_tensor_offset(twin.get(), to);
            if (stays(tensor))
                file.write_at(offset, bytes, gguf_get_tensor_size(part.gguf.get(), from));
            else
                write_random({file, offset, gguf_get_tensor_type(twin.get(), to)}, tensor, bytes, options);
        }
    }
    file.commit();
    return summary;
}

}  // namespace tomograph
