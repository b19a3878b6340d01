#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/store/run.h"

namespace tomograph {

enum class ExportFormat {
    csv,        ///< one row a vector: who it is, then its numbers
    npy,        ///< the numbers alone, float32, in stored order
    projector,  ///< a folder with tensors.tsv and metadata.tsv for the TensorBoard projector
};

/// Errors: Error for another word.
ExportFormat parse_export_format(const std::string& text);

/// The files that an export to `out` writes. Errors: Error where standard output ("-") cannot hold them.
std::vector<std::filesystem::path> export_files(ExportFormat format, const std::filesystem::path& out);

/// Write a projection of `run`, or the vectors of a site ("blocks.3.attn_out"), to `out`.
/// Errors: Error that lists what the run holds when `name` is neither; a full disk.
void export_rows(const Run& run, const std::string& name, ExportFormat format,
                 const std::filesystem::path& out);

}  // namespace tomograph
