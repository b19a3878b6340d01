#pragma once
#include <string>

#include "tomograph/base/error.h"

namespace tomograph::test {

/// The line that the user would read; empty when nothing was thrown.
template <class Action>
std::string error_of(Action action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

}  // namespace tomograph::test
