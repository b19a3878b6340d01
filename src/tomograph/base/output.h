#pragma once
#include <filesystem>

namespace tomograph {

/// Where the bytes for an output path really go.
struct OutputTarget {
    enum class Kind {
        absent,  ///< nothing is there yet: a file will be made
        file,    ///< a regular file: a new one takes its place whole
        stream,  ///< a terminal, pipe, device or socket: written through, never replaced
    };
    Kind kind = Kind::absent;
    /// Links followed, so that a replaced file leaves the link to it in place.
    std::filesystem::path path;
    /// Of a stream that this process holds open already ("-" is standard output, /dev/fd/N is N); else -1.
    int descriptor = -1;

    bool is_standard_output() const { return descriptor == 1; }
};

/// Follows links; "-", /dev/stdout, /dev/fd/N and their like are the stream that is open under that number,
/// even where it leads to a file. Errors: Error for a folder, or links that lead in a circle.
OutputTarget output_target(const std::filesystem::path& path);

struct OutputRule {
    /// May a file that exists be replaced? (--force)
    bool force = false;
    /// Must it be a file? For what is not written from front to back.
    bool file = false;
};
/// The one rule of every command that writes a file: what exists is replaced with --force only, a file only
/// by a file, and what is no file is written through. Nothing is touched here. Errors: Error with the mend.
OutputTarget check_output_file(const std::filesystem::path& path, OutputRule rule);

/// Open a stream for writing; a socket is connected to. The caller closes it. Errors: Error.
int open_stream(const OutputTarget& target);

}  // namespace tomograph
