// The driver that needs no special compiler: broken files with the exact message that each gets, then a
// number of mutations, the same ones every time.
//
// usage: fuzz_NAME [--write] CORPUS [MUTATIONS]     CORPUS/messages: a line a file, FILE tab MESSAGE
//        fuzz_NAME --good=FOLDER
//   --write   write CORPUS/messages anew
//   --good    write the inputs that mutation begins from, for making broken ones by hand
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "fuzz.h"
#include "tomograph/base/file.h"
#include "tomograph/base/random.h"

namespace tomograph::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kSeconds = 20;  // for one input
constexpr rlim_t kMemory = rlim_t{8} << 30;
constexpr const char* kFailed = "fuzz-failed";
constexpr std::size_t kLargest = 64 * 1024;

const std::string* current = nullptr;

/// Leaves the input that ended the program.
void keep_current(int signal) {
    const int file = ::open(kFailed, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file >= 0 && current != nullptr) (void)!::write(file, current->data(), current->size());
    const char line[] = "the input is in fuzz-failed\n";
    (void)!::write(STDERR_FILENO, line, sizeof line - 1);
    ::signal(signal, SIG_DFL);
    ::raise(signal);
}

void guard() {
    static std::array<char, 64 * 1024> stack;  // of the handler, for when the other one is used up
    const stack_t alternative{.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
    ::sigaltstack(&alternative, nullptr);
    struct sigaction action{};
    action.sa_handler = keep_current;
    action.sa_flags = SA_ONSTACK;
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM})
        ::sigaction(signal, &action, nullptr);
#ifndef __SANITIZE_ADDRESS__  // it reserves terabytes that it never uses
    const rlimit memory{kMemory, kMemory};
    ::setrlimit(RLIMIT_AS, &memory);
#endif
}

std::string run(const std::string& input) {
    current = &input;
    ::alarm(kSeconds);
    const std::string line = parse(input);
    ::alarm(0);
    if (line.find_first_of("\n\r") != std::string::npos) {
        fmt::print(stderr, "a message of several lines: {}\n", line);
        std::abort();
    }
    return line;
}

/// Seeded changes to an input, of the kinds that parsers fall over.
class Mutator {
  public:
    Mutator(std::vector<std::string> inputs, std::uint64_t seed) : inputs_(std::move(inputs)), seed_(seed) {}

    std::string next() {
        std::string input = inputs_[below(inputs_.size())];
        for (std::size_t changes = 1 + below(4); changes > 0; --changes) change(input);
        if (input.size() > kLargest) input.resize(kLargest);
        return input;
    }

  private:
    std::size_t below(std::size_t end) {
        return end == 0 ? 0 : static_cast<std::size_t>(mix(seed_, count_++, 0) % end);
    }

    void change(std::string& input) {
        static constexpr std::array<std::string_view, 34> kWords{"",
                                                                 "0",
                                                                 "-1",
                                                                 "1",
                                                                 "255",
                                                                 "32768",
                                                                 "2147483647",
                                                                 "2147483648",
                                                                 "-2147483649",
                                                                 "4294967296",
                                                                 "9223372036854775807",
                                                                 "-9223372036854775808",
                                                                 "18446744073709551615",
                                                                 "18446744073709551616",
                                                                 "1e308",
                                                                 "1e999",
                                                                 "NaN",
                                                                 "null",
                                                                 "true",
                                                                 "[",
                                                                 "]",
                                                                 "{",
                                                                 "}",
                                                                 "[]",
                                                                 "{}",
                                                                 "\"",
                                                                 ",",
                                                                 ":",
                                                                 "..",
                                                                 "/",
                                                                 "\n",
                                                                 "\xff",
                                                                 "\xc2\x9b",
                                                                 std::string_view("\0", 1)};
        const std::size_t at = below(input.size() + 1);
        const std::size_t length =
            std::min<std::size_t>(1 + below(below(4) == 0 ? 256 : 8), input.size() - at);
        switch (below(9)) {
            case 0:
                if (at < input.size()) input[at] = static_cast<char>(input[at] ^ 1 << below(8));
                break;
            case 1:
                if (at < input.size()) input[at] = static_cast<char>(below(256));
                break;
            case 2:
                input.erase(at, length);
                break;
            case 3:
                input.insert(at, input.substr(at, length));
                break;
            case 4:
                input.insert(at, kWords[below(kWords.size())]);
                break;
            case 5:  // a number in its own place
                replace_number(input, at, kWords[below(kWords.size())]);
                break;
            case 6: {  // a binary number in its own place
                static constexpr std::array<std::uint64_t, 6> kNumbers{
                    0, 1, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, 0xffffffffffffffff};
                const std::uint64_t number = kNumbers[below(kNumbers.size())];
                if (at + 8 <= input.size())
                    std::memcpy(input.data() + at, &number, std::size_t{4} << below(2));
                break;
            }
            case 7:
                input.resize(at);
                break;
            default: {
                const std::string& other = inputs_[below(inputs_.size())];
                const std::size_t from = below(other.size() + 1);
                input.replace(at, length, other, from, 1 + below(64));
            }
        }
    }

    static void replace_number(std::string& input, std::size_t at, std::string_view by) {
        const std::size_t begin = input.find_first_of("0123456789", at);
        if (begin == std::string::npos) return;
        const std::size_t end = std::min(input.find_first_not_of("0123456789", begin), input.size());
        input.replace(begin, end - begin, by);
    }

    std::vector<std::string> inputs_;
    std::uint64_t seed_, count_ = 0;
};

std::map<std::string, std::string> read_messages(const fs::path& file) {
    std::map<std::string, std::string> messages;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        const std::size_t tab = line.find('\t');
        messages[line.substr(0, tab)] = tab == std::string::npos ? "" : line.substr(tab + 1);
    }
    return messages;
}

int check(const fs::path& corpus, std::uint64_t mutations, bool write) {
    std::vector<std::string> inputs = good_inputs();
    int faults = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (const std::string line = run(inputs[i]); !line.empty()) {
            fmt::print(stderr, "good input {} was refused: {}\n", i, line);
            ++faults;
        }
    }
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::directory_iterator(corpus)) {
        const std::string name = entry.path().filename().string();
        if (name == "messages") continue;
        inputs.push_back(read_file(entry.path()));
        found[name] = run(inputs.back());
    }
    if (write) {
        std::ofstream out(corpus / "messages");
        for (const auto& [name, line] : found) out << name << '\t' << line << '\n';
    }
    auto expected = read_messages(corpus / "messages");
    for (const auto& [name, line] : found) {
        const auto known = expected.extract(name);
        if (known.empty() || known.mapped() != line) {
            fmt::print(stderr, "{}:\n  expected: {}\n  found:    {}\n", name,
                       known.empty() ? "not listed" : known.mapped(), line);
            ++faults;
        }
    }
    for (const auto& [name, line] : expected) {
        fmt::print(stderr, "{} is listed and is not there\n", name);
        ++faults;
    }
    Mutator mutator(std::move(inputs), 1);
    std::uint64_t taken = 0;
    for (std::uint64_t i = 0; i < mutations; ++i) taken += run(mutator.next()).empty() ? 1 : 0;
    fmt::print("{} files, {} mutations of which {} were taken\n", found.size(), mutations, taken);
    return faults == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tomograph::fuzz

int main(int argc, char** argv) {
    using namespace tomograph::fuzz;
    if (wrote_good_inputs(argc, argv)) return 0;
    int at = 1;
    const bool write = argc > at && std::string_view(argv[at]) == "--write";
    if (write) ++at;
    std::uint64_t mutations = 0;
    if (argc > at + 1) std::from_chars(argv[at + 1], argv[at + 1] + std::strlen(argv[at + 1]), mutations);
    if (argc <= at || argc > at + 2) {
        fmt::print(stderr, "usage: {} [--write] CORPUS [MUTATIONS]\n", argv[0]);
        return 2;
    }
    guard();
    return check(argv[at], mutations, write);
}
