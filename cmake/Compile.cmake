# How our own code is compiled. Every room links tomograph_compile, nothing else sets flags.
add_library(tomograph_compile INTERFACE)
target_compile_features(tomograph_compile INTERFACE cxx_std_20)
target_compile_options(tomograph_compile INTERFACE
    $<BUILD_INTERFACE:-Wall -Wextra -Wpedantic -Wshadow -Werror>)
# Eigen's alignment depends on the instruction set, so every room must be compiled for the same one.
if(TOMOGRAPH_NATIVE)
    target_compile_options(tomograph_compile INTERFACE $<BUILD_INTERFACE:-march=native>)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_definitions(tomograph_compile INTERFACE $<BUILD_INTERFACE:_GLIBCXX_ASSERTIONS>)
endif()
if(TOMOGRAPH_SANITIZE)
    target_compile_options(tomograph_compile INTERFACE
        $<BUILD_INTERFACE:-fsanitize=${TOMOGRAPH_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer>)
    target_link_options(tomograph_compile INTERFACE
        $<BUILD_INTERFACE:-fsanitize=${TOMOGRAPH_SANITIZE}>)
endif()

find_program(TOMOGRAPH_CCACHE ccache)
if(TOMOGRAPH_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${TOMOGRAPH_CCACHE})
endif()
