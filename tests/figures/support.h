#pragma once
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/random.h"

namespace tomograph::test {

/// A folder of the test's own that is removed after it.
class Figures : public ::testing::Test {
  protected:
    void SetUp() override {
        const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
        folder_ = std::filesystem::temp_directory_path() /
                  ("tomograph-figures-" + std::string(info->name()) + "-" + std::to_string(::getpid()));
        std::filesystem::create_directories(folder_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    std::filesystem::path file(const std::string& name) const { return folder_ / name; }
    std::size_t n_files() const {
        std::size_t count = 0;
        for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_)) ++count;
        return count;
    }

  private:
    std::filesystem::path folder_;
};

/// Sets an environment variable while it lives.
class Environment {
  public:
    Environment(const char* name, const char* value) : name_(name) {
        if (const char* old = std::getenv(name)) old_ = old, had_one_ = true;
        ::setenv(name, value, 1);
    }
    ~Environment() {
        if (had_one_)
            ::setenv(name_, old_.c_str(), 1);
        else
            ::unsetenv(name_);
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

  private:
    const char* name_;
    std::string old_;
    bool had_one_ = false;
};

/// Sides of a PNG by its header; zeros when it is none.
struct PngSize {
    std::uint32_t width = 0, height = 0;
    bool operator==(const PngSize&) const = default;
};
inline PngSize png_size(std::string_view bytes) {
    if (bytes.size() < 33 || bytes.substr(0, 8) != std::string_view("\x89PNG\r\n\x1a\n", 8)) return {};
    const auto number = [&](std::size_t at) {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < 4; ++i) value = (value << 8) | static_cast<unsigned char>(bytes[at + i]);
        return value;
    };
    return {number(16), number(20)};
}

inline std::size_t count(std::string_view text, std::string_view part) {
    std::size_t n = 0;
    for (std::size_t at = text.find(part); at != std::string_view::npos;
         at = text.find(part, at + part.size()))
        ++n;
    return n;
}

/// The message of the Error that `action` throws; fails the test when it throws none.
template <class Action>
std::string error_of(const Action& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    ADD_FAILURE() << "no Error was thrown";
    return {};
}

/// Two normal clouds of n / 2 points each.
inline Matrix two_clouds(std::int64_t n, int dims) {
    Rng rng(7);
    Matrix points(n, dims);
    for (std::int64_t row = 0; row < n; ++row) {
        for (int column = 0; column < dims; ++column) {
            points(row, column) = static_cast<float>(rng.normal() + (row < n / 2 ? 0.0 : 4.0));
        }
    }
    return points;
}

}  // namespace tomograph::test
