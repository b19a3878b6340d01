#pragma once
#include <gguf.h>
#include <llama.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tomograph {

/// A path that llama.cpp can open: the given file, or an embedded model held in an anonymous file for as long
/// as this lives.
class ModelFile {
  public:
    explicit ModelFile(const std::string& name_or_path);
    ~ModelFile();
    ModelFile(const ModelFile&) = delete;
    ModelFile& operator=(const ModelFile&) = delete;
    const std::string& path() const { return path_; }
    bool embedded() const { return descriptor_ >= 0; }

  private:
    std::string path_;
    int descriptor_ = -1;
};

struct GgufDeleter {
    void operator()(gguf_context* context) const { gguf_free(context); }
};
using Gguf = std::unique_ptr<gguf_context, GgufDeleter>;

/// Read and check a GGUF's header before llama.cpp sees it.
/// Errors: Error when it is no GGUF, is cut, or is not a language model. `shown` is the name in messages.
Gguf open_gguf(const std::string& path, const std::string& shown);

/// One file of a model.
struct ModelPart {
    std::string path;
    Gguf gguf;
};
/// The header and the files of a model: one, or all parts of one that llama-gguf-split cut, in order. The
/// first has the model's entries; tensors are in any of them. Errors: as open_gguf, of each; Error when
/// `path` is another part than the first, when it was renamed, so that llama.cpp would not find the others,
/// or when one is missing.
std::vector<ModelPart> open_parts(const std::string& path, const std::string& shown);

std::optional<std::string> gguf_string(const gguf_context* gguf, const std::string& key);
/// An entry of 32 bits without a sign, as llama.cpp writes counts.
std::optional<std::uint32_t> gguf_count(const gguf_context* gguf, const std::string& key);
/// "F32", "Q4_1", "Q4_K - Medium".
std::string weight_type_name(llama_ftype file_type);
/// True where the key is there and says false.
bool gguf_denies(const gguf_context* gguf, const std::string& key);

/// Says of an untrained twin what its weights keep: "gaussian" or "spectrum".
inline constexpr const char* kTwinKey = "tomograph.twin";

}  // namespace tomograph
