#include "tomograph/model/gguf_check.h"

#include <fmt/format.h>
#include <ggml.h>
#include <gguf.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"

namespace tomograph {
namespace {

constexpr std::uint64_t kLongestKey = 65'535;                        // the format's own limit
constexpr std::uint64_t kSmallestEntry = 8 + 1 + 4 + 1;              // length, a letter, type, a byte
constexpr std::uint64_t kSmallestTensor = 8 + 4 + 4 + 8;             // length, extents, type, offset
constexpr std::uint64_t kLargestString = std::uint64_t{1} << 30;     // ggml's
constexpr std::uint64_t kLargestArray = std::uint64_t{1} << 30;      // ggml's
constexpr std::uint64_t kLargestAlignment = std::uint64_t{1} << 20;  // far above any that is used

/// Bytes of one value of a type; 0: strings, arrays, and what is no type.
std::uint64_t size_of(std::uint32_t type) {
    switch (type) {
        case GGUF_TYPE_UINT8:
        case GGUF_TYPE_INT8:
        case GGUF_TYPE_BOOL:
            return 1;
        case GGUF_TYPE_UINT16:
        case GGUF_TYPE_INT16:
            return 2;
        case GGUF_TYPE_UINT32:
        case GGUF_TYPE_INT32:
        case GGUF_TYPE_FLOAT32:
            return 4;
        case GGUF_TYPE_UINT64:
        case GGUF_TYPE_INT64:
        case GGUF_TYPE_FLOAT64:
            return 8;
        default:
            return 0;
    }
}

/// What a model's own numbers, "llama.block_count" and the like, may be.
struct Bound {
    std::string_view key;
    std::uint64_t least, most;
};
constexpr std::array kBounds{
    Bound{"block_count", 1, 512},  // llama.cpp's LLAMA_MAX_LAYERS
    Bound{"context_length", 1, std::numeric_limits<std::int32_t>::max()},
    Bound{"embedding_length", 1, 1 << 20},
    Bound{"feed_forward_length", 0, 1 << 24},
    Bound{"attention.head_count", 0, 1 << 16},
    Bound{"attention.head_count_kv", 0, 1 << 16},
    Bound{"attention.key_length", 1, 1 << 16},
    Bound{"attention.value_length", 1, 1 << 16},
    Bound{"rope.dimension_count", 0, 1 << 16},
    Bound{"expert_count", 0, 512},  // llama.cpp's LLAMA_MAX_EXPERTS
    Bound{"expert_used_count", 0, 512},
    Bound{"vocab_size", 1, std::numeric_limits<std::int32_t>::max()},
};

class Header {
  public:
    Header(std::span<const std::byte> file, const std::string& shown) : file_(file), shown_(shown) {}

    void check() {
        where_ = "its first bytes";
        at_ = 4;  // the magic
        const auto version = number<std::uint32_t>();
        if (version < 2)
            refuse_version(
                fmt::format("it is version {} of the format, which nothing reads any more", version));
        if (version != 0 && (version & 0xffff) == 0)
            refuse_version("it is written for processors of another byte order");
        if (version > GGUF_VERSION) {
            throw Error(
                "cannot read the header of " + shown_,
                fmt::format("it is version {} of the format; up to {} can be read", version, GGUF_VERSION),
                "it is newer than this program: update tomograph");
        }
        const auto n_tensors = number<std::uint64_t>(), n_entries = number<std::uint64_t>();
        if (n_tensors > left() / kSmallestTensor)
            refuse(fmt::format("it promises {} tensors in {} bytes", n_tensors, left()));
        if (n_entries > left() / kSmallestEntry)
            refuse(fmt::format("it promises {} entries in {} bytes", n_entries, left()));
        for (std::uint64_t i = 0; i < n_entries; ++i) entry(i);
        if (numbers_.contains("general.alignment")) {
            alignment_ = numbers_["general.alignment"];
            if (!std::has_single_bit(alignment_) || alignment_ > kLargestAlignment)
                refuse(fmt::format("its alignment is {}", alignment_));
        }
        for (std::uint64_t i = 0; i < n_tensors; ++i) tensor(i);
        bounds();
        const std::uint64_t begin = (at_ + alignment_ - 1) / alignment_ * alignment_;
        for (const std::uint64_t end : {begin + end_, begin + next_}) {
            if (end < file_.size() && file_.size() - end >= 8 &&
                std::memcmp(file_.data() + end, "GGUF", 4) == 0)
                throw Error(shown_ + " is several GGUF files laid end to end",
                            fmt::format("another one begins at byte {}", end),
                            "keep the parts of a model apart, or join them with llama.cpp's "
                            "llama-gguf-split --merge");
        }
        if (n_tensors > 0 && begin + end_ > file_.size()) {
            throw Error(shown_ + " is truncated",
                        fmt::format("it has {} bytes of {}", file_.size(), begin + end_),
                        "download or copy it again");
        }
    }

  private:
    [[noreturn]] void refuse(const std::string& why) const {
        throw Error("cannot read the header of " + shown_, why,
                    "the file is cut or damaged; download it again");
    }
    [[noreturn]] void refuse_version(const std::string& why) const {
        throw Error("cannot read the header of " + shown_, why,
                    "convert the model again: tomograph convert FOLDER --out FILE.gguf");
    }
    std::uint64_t left() const { return file_.size() - at_; }
    void need(std::uint64_t bytes) const {
        if (bytes > left()) refuse(fmt::format("it ends within {}", where_));
    }

    template <class T>
    T number() {
        need(sizeof(T));
        T value;
        std::memcpy(&value, file_.data() + at_, sizeof value);
        at_ += sizeof value;
        return value;
    }
    std::string_view text() {
        const auto length = number<std::uint64_t>();
        if (length > kLargestString || length > left())
            refuse(fmt::format("{} has a text of {} bytes, more than are left", where_, length));
        const std::string_view value(reinterpret_cast<const char*>(file_.data()) + at_, length);
        at_ += length;
        return value;
    }

    void entry(std::uint64_t index) {
        where_ = fmt::format("entry {}", index);
        const std::string_view key = text();
        if (key.empty() || key.size() > kLongestKey) refuse(where_ + " has no usable name");
        where_ = fmt::format("entry '{}'", printable(std::string(key.substr(0, 80))));
        if (!keys_.insert(key).second) refuse(where_ + " is there twice");
        const auto type = number<std::uint32_t>();
        if (key == "general.alignment" && type != GGUF_TYPE_UINT32) refuse(where_ + " is no 32-bit number");
        if (type == GGUF_TYPE_ARRAY) return array();
        if (type == GGUF_TYPE_STRING) {
            if (const std::string_view value = text(); key == "general.architecture") architecture_ = value;
            return;
        }
        const std::uint64_t size = size_of(type);
        if (size == 0) refuse(fmt::format("{} has the type {}, which there is not", where_, type));
        need(size);
        keep_number(key, type);
        at_ += size;
    }

    /// Whole numbers are looked at again. Negative ones count as absurdly large.
    void keep_number(std::string_view key, std::uint32_t type) {
        const std::byte* bytes = file_.data() + at_;
        const auto keep = [&](auto value) {
            std::memcpy(&value, bytes, sizeof value);
            numbers_[std::string(key)] = static_cast<std::uint64_t>(value);
        };
        switch (type) {
            case GGUF_TYPE_UINT8:
                return keep(std::uint8_t{});
            case GGUF_TYPE_INT8:
                return keep(std::int8_t{});
            case GGUF_TYPE_UINT16:
                return keep(std::uint16_t{});
            case GGUF_TYPE_INT16:
                return keep(std::int16_t{});
            case GGUF_TYPE_UINT32:
                return keep(std::uint32_t{});
            case GGUF_TYPE_INT32:
                return keep(std::int32_t{});
            case GGUF_TYPE_UINT64:
                return keep(std::uint64_t{});
            case GGUF_TYPE_INT64:
                return keep(std::int64_t{});
            default:
                return;
        }
    }

    void array() {
        const auto type = number<std::uint32_t>();
        const auto count = number<std::uint64_t>();
        if (type == GGUF_TYPE_ARRAY) refuse(where_ + " is an array of arrays");
        const std::uint64_t size = type == GGUF_TYPE_STRING ? sizeof(std::uint64_t) : size_of(type);
        if (size == 0) refuse(fmt::format("{} is an array of type {}, which there is not", where_, type));
        if (count > kLargestArray || count > left() / size)
            refuse(fmt::format("{} promises {} values, more than the file holds", where_, count));
        if (type != GGUF_TYPE_STRING) {
            at_ += count * size;
            return;
        }
        for (std::uint64_t i = 0; i < count; ++i) text();
    }

    void tensor(std::uint64_t index) {
        where_ = fmt::format("tensor {}", index);
        const std::string_view name = text();
        if (name.empty() || name.size() >= GGML_MAX_NAME || name.find('\0') != std::string_view::npos)
            refuse(where_ + " has no usable name");
        where_ = fmt::format("tensor '{}'", printable(std::string(name)));
        if (!tensors_.insert(name).second) refuse(where_ + " is there twice");
        const auto n_extents = number<std::uint32_t>();
        if (n_extents > GGML_MAX_DIMS) refuse(fmt::format("{} has {} extents", where_, n_extents));
        std::array<std::uint64_t, GGML_MAX_DIMS> extents{1, 1, 1, 1};
        std::uint64_t values = 1;
        for (std::uint32_t i = 0; i < n_extents; ++i) {
            extents[i] = number<std::uint64_t>();
            // ggml's widest type takes 8 bytes a value, or some bytes for a block of them.
            constexpr std::uint64_t kMost = std::uint64_t{1} << 56;
            if (extents[i] == 0 || extents[i] > kMost / values)
                refuse(fmt::format("{} has an extent of {}", where_, static_cast<std::int64_t>(extents[i])));
            values *= extents[i];
        }
        const auto type = number<std::uint32_t>();
        const bool known = type < GGML_TYPE_COUNT && ggml_type_size(static_cast<ggml_type>(type)) > 0;
        if (!known) refuse(fmt::format("{} has the type {}, which there is not", where_, type));
        const auto block = static_cast<std::uint64_t>(ggml_blck_size(static_cast<ggml_type>(type)));
        if (extents[0] % block != 0)
            refuse(fmt::format("{} has rows of {} values, no multiple of {}", where_, extents[0], block));
        const std::uint64_t bytes = values / block * ggml_type_size(static_cast<ggml_type>(type));
        const auto offset = number<std::uint64_t>();
        if (offset != next_) refuse(fmt::format("{} begins at {} where {} is next", where_, offset, next_));
        end_ = offset + bytes;
        if (end_ < offset || end_ > std::numeric_limits<std::uint64_t>::max() / 2)
            refuse(fmt::format("{} has {} bytes", where_, bytes));
        next_ = (end_ + alignment_ - 1) / alignment_ * alignment_;
        if (name == "token_embd.weight") embedding_ = extents[0];
    }

    /// The model's own numbers, so far as a file that is not damaged can hold them.
    void bounds() const {
        if (architecture_.empty()) return;  // no language model, which the caller says
        const auto value = [&](std::string_view key) -> std::optional<std::uint64_t> {
            const auto found = numbers_.find(fmt::format("{}.{}", architecture_, key));
            return found == numbers_.end() ? std::nullopt : std::optional(found->second);
        };
        for (const Bound& bound : kBounds) {
            const auto number = value(bound.key);
            if (number && (*number < bound.least || *number > bound.most))
                refuse(fmt::format("its {} is {}", bound.key, static_cast<std::int64_t>(*number)));
        }
        // A model that only carries a state from token to token has none.
        if (value("attention.head_count") == 0 && !value("ssm.state_size") && !value("wkv.head_size"))
            refuse("its attention.head_count is 0");
        const auto width = value("embedding_length");
        if (width && embedding_ && *width != *embedding_)
            refuse(fmt::format("its embedding_length is {}, its token table's rows have {} values", *width,
                               *embedding_));
        if (const auto used = value("expert_used_count"); used && *used > value("expert_count").value_or(0))
            refuse(fmt::format("it uses {} of {} experts", *used, value("expert_count").value_or(0)));
    }

    std::span<const std::byte> file_;
    const std::string& shown_;
    std::uint64_t at_ = 0;
    std::string where_;  // what is being read
    std::set<std::string_view> keys_, tensors_;
    std::map<std::string, std::uint64_t, std::less<>> numbers_;
    std::string architecture_;
    std::uint64_t alignment_ = GGUF_DEFAULT_ALIGNMENT;
    std::uint64_t next_ = 0, end_ = 0;  // in the data, where the next tensor must begin and the last one ends
    std::optional<std::uint64_t> embedding_;
};

}  // namespace

void check_gguf(std::span<const std::byte> file, const std::string& shown) {
    Header(file, shown).check();
}

}  // namespace tomograph
