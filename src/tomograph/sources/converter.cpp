#include "tomograph/sources/converter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <regex>
#include <span>
#include <string_view>
#include <thread>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/process.h"
#include "tomograph/sources/cached.h"

namespace tomograph {

std::span<const unsigned char> tomograph_sources_file(std::string_view name);

namespace {

namespace fs = std::filesystem;

// The package that carries the source of the llama.cpp that is linked here, converter included.
constexpr const char* kPackage =
    "llama-cpp-python==" TOMOGRAPH_LLAMA_VERSION " --hash=sha256:" TOMOGRAPH_LLAMA_SHA256;
constexpr const char* kSizes = "2.7 GB, and takes 4.2 GB of disk";

/// Takes the converter out of the package's archive, and nothing else. argv: archive, folder.
constexpr const char* kUnpack = R"(
import sys, tarfile, pathlib
archive, folder = sys.argv[1:]
with tarfile.open(archive) as tar:
    for member in tar:
        _, found, name = member.name.partition("/vendor/llama.cpp/")
        wanted = name == "convert_hf_to_gguf.py" or name.startswith(("conversion/", "gguf-py/gguf/"))
        if not (found and wanted and member.isfile()) or ".." in name:
            continue
        path = pathlib.Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tar.extractfile(member).read())
)";

std::string requirements() {
    const auto bytes = tomograph_sources_file("converter-requirements.txt");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string last_line(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
        text.remove_suffix(1);
    const auto begin = text.find_last_of("\n\r");
    return std::string(begin == std::string_view::npos ? text : text.substr(begin + 1));
}

/// Run Python; `hear` gets each piece of what it prints. Errors: Stopped; Error with its last line, as what
/// failed to `what`.
Finished run_python(const fs::path& python, const std::vector<std::string>& arguments, Progress& progress,
                    const std::function<void(std::string_view)>& hear) {
    return run_program(python, arguments, {}, [&](std::string_view text) {
        if (progress.stop_requested()) throw Stopped("nothing is kept");
        hear(text);
    });
}

void must_work(const Finished& finished, const std::string& what, const std::string& mend) {
    if (finished.ok()) return;
    throw Error(what,
                finished.signal != 0
                    ? fmt::format("ended by signal {}", finished.signal)
                    : last_line(finished.error_out.empty() ? finished.out : finished.error_out),
                mend);
}

/// Every package of the environment comes as a wheel for these versions of Python.
fs::path find_python(Progress& progress) {
    constexpr int kOldest = 10, kNewest = 13;
    std::string seen;
    for (const char* name : {"python3", "python3.13", "python3.12", "python3.11", "python3.10"}) {
        const auto python = find_program(name);
        if (!python) continue;
        const Finished asked =
            run_python(*python, {"-c", "import sys, venv, ensurepip; print(*sys.version_info[:2])"}, progress,
                       [](std::string_view) {});
        int major = 0, minor = 0;
        if (!asked.ok() || std::sscanf(asked.out.c_str(), "%d %d", &major, &minor) != 2) {
            seen += fmt::format("{}{} without venv", seen.empty() ? "" : ", ", name);
            continue;
        }
        if (major == 3 && minor >= kOldest && minor <= kNewest) return *python;
        seen += fmt::format("{}{} of version {}.{}", seen.empty() ? "" : ", ", name, major, minor);
    }
    throw Error("the converter needs Python 3.10 to 3.13 with its module venv",
                seen.empty() ? "there is no python3" : "there is " + seen,
                "install it (Debian: python3-venv), or name one with --python");
}

/// One at a time makes what is in a folder of the cache.
class FolderLock {
  public:
    FolderLock(const fs::path& path, Progress& progress) {
        descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (descriptor_ < 0)
            throw Error("cannot write " + path.string(), std::strerror(errno),
                        "set TOMOGRAPH_CACHE to a folder of yours");
        while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            if (progress.stop_requested()) {
                ::close(descriptor_);
                throw Stopped("another process is making the converter's environment");
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
    }
    ~FolderLock() { ::close(descriptor_); }
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

  private:
    int descriptor_ = -1;
};

/// How often a word stands in a text.
int count(std::string_view text, std::string_view word) {
    int found = 0;
    for (std::size_t at = 0; (at = text.find(word, at)) != std::string_view::npos; ++at) ++found;
    return found;
}

/// The converter's files. `python` has pip.
fs::path converter_source(const fs::path& folder, const fs::path& python, const ConvertOptions& options,
                          Progress& progress) {
    const fs::path source = folder / "source";
    if (fs::exists(source)) return source;
    options.announce(
        fmt::format("downloading llama.cpp's converter, in a package of 77 MB, to {}", folder.string()));
    const fs::path work = folder / "work";
    fs::remove_all(work);
    fs::create_directories(work);
    std::ofstream(work / "requirements.txt") << kPackage << '\n';
    must_work(run_python(python,
                         {"-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir",
                          "--no-deps", "--no-binary", "llama-cpp-python", "--require-hashes", "--dest",
                          work.string(), "--requirement", (work / "requirements.txt").string()},
                         progress, [](std::string_view) {}),
              "cannot download llama.cpp's converter", "look at what pip says, and try again");
    fs::path archive;
    for (const auto& entry : fs::directory_iterator(work)) {
        if (entry.path().string().ends_with(".tar.gz")) archive = entry.path();
    }
    must_work(run_python(python, {"-c", kUnpack, archive.string(), (work / "source").string()}, progress,
                         [](std::string_view) {}),
              "cannot unpack llama.cpp's converter", "");
    fs::rename(work / "source", source);
    fs::remove_all(work);
    return source;
}

/// The Python of an environment that has exactly the pinned packages.
fs::path environment(const fs::path& folder, const fs::path& python, const ConvertOptions& options,
                     Progress& progress) {
    const fs::path made = folder / "python", complete = folder / "complete";
    if (fs::exists(complete)) return made / "bin/python";
    options.announce(
        fmt::format("making the converter's environment, once: it downloads {} (PyTorch with its GPU "
                    "libraries), in {}; --python names one that you have instead",
                    kSizes, folder.string()));
    fs::remove_all(made);
    must_work(run_python(python, {"-m", "venv", made.string()}, progress, [](std::string_view) {}),
              "cannot make an environment for the converter",
              "install Python's module venv, or name a Python with --python");
    const std::string pinned = requirements();
    const fs::path file = folder / "requirements.txt";
    std::ofstream(file) << pinned;
    // A package is a line that is not indented. pip names each as it begins with it, also one that is for
    // another version of Python, and unpacks all in the end.
    const int packages = 1 + count(pinned, "\n") - count(pinned, "\n ") - (pinned.ends_with('\n') ? 1 : 0);
    progress.begin("install the converter's packages", packages, "packages");
    int begun = 0;
    const Finished installed = run_python(
        made / "bin/python",
        {"-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes",
         "--only-binary", ":all:", "--progress-bar", "off", "--requirement", file.string()},
        progress, [&](std::string_view text) {
            begun += count(text, "Collecting ") + count(text, "Ignoring ");
            progress.update(std::max(0, begun - 1));
        });
    progress.end();
    must_work(installed, "cannot install the converter's packages",
              "look at what pip says, and try again: what it downloaded is kept");
    std::ofstream(complete) << '\n';
    return made / "bin/python";
}

/// Errors: Error for one that the converter has no code for, before its environment is made.
void check_architecture(const fs::path& source, const std::string& architecture, const fs::path& folder) {
    const std::string names = read_file(source / "conversion/__init__.py");
    const auto begin = names.find("TEXT_MODEL_MAP"), end = names.find("}", begin);
    if (begin == std::string::npos || end == std::string::npos) return;
    if (std::string_view(names).substr(begin, end - begin).find('"' + architecture + '"') !=
        std::string_view::npos)
        return;
    throw Error("cannot convert " + folder.string(),
                fmt::format("llama.cpp's converter does not know {}", architecture),
                "the architecture may be newer than it, or no text model");
}

/// The converter's last words as ours.
[[noreturn]] void refuse(const Finished& finished, const fs::path& folder, bool own_python) {
    const std::string what = "cannot convert " + folder.string(), &said = finished.error_out;
    if (finished.signal != 0)
        throw Error(what, fmt::format("the converter was ended by signal {}", finished.signal),
                    finished.signal == SIGKILL ? "it may have had too little memory" : "");
    if (said.find("ModuleNotFoundError") != std::string::npos && own_python)
        throw Error(what, last_line(said),
                    "install what llama.cpp's converter needs beside that Python, or leave --python out");
    if (said.find("pre-tokenizer was not recognized") != std::string::npos)
        throw Error(what, "the converter does not know this tokenizer's way of splitting text",
                    "the model may be newer than it, or its tokenizer was changed");
    if (said.find("No space left on device") != std::string::npos)
        throw Error(what, "the disk is full", "free some disk space or write elsewhere");
    std::string why = last_line(said);
    for (const std::string_view front :
         {"ERROR:hf-to-gguf:", "NotImplementedError: ", "ValueError: ", "RuntimeError: "}) {
        if (why.starts_with(front)) why.erase(0, front.size());
    }
    throw Error(what, why, "");
}

}  // namespace

void convert_model(const fs::path& folder, const fs::path& out, const ConvertOptions& options,
                   Progress& progress) {
    const std::string architecture = check_model_folder(folder);
    const std::string pinned = requirements();
    const fs::path made =
        cache_folder() / fmt::format("convert-{}-{}", TOMOGRAPH_LLAMA_VERSION,
                                     xxh3_128(std::as_bytes(std::span(pinned))).substr(0, 8));
    fs::path source, python;
    try {
        fs::create_directories(made);
        const FolderLock lock(made / ".lock", progress);
        const fs::path base = options.python.empty() ? find_python(progress) : options.python;
        source = converter_source(made, base, options, progress);
        check_architecture(source, architecture, folder);
        python = options.python.empty() ? environment(made, base, options, progress) : base;
    } catch (const fs::filesystem_error& e) {
        throw Error("cannot write to " + made.string(), e.code().message(),
                    "set TOMOGRAPH_CACHE to a folder of yours");
    }
    AtomicFile file(out);
    progress.begin("convert " + folder.string(), 100, "percent");
    // "Writing:  45%|####5     | 121M/269M [00:01<00:01, 111Mbyte/s]"
    static const std::regex percent("Writing: +([0-9]+)%");
    const Finished finished = run_python(
        python,
        {(source / "convert_hf_to_gguf.py").string(), folder.string(), "--outfile", file.temporary().string(),
         "--outtype", options.type},
        progress, [&](std::string_view text) {
            const std::string piece(text);
            for (std::sregex_iterator at(piece.begin(), piece.end(), percent), end; at != end; ++at)
                progress.update(std::stoi((*at)[1]));
        });
    progress.end();
    if (!finished.ok()) refuse(finished, folder, !options.python.empty());
    file.commit();
}

}  // namespace tomograph
