# How our own code is compiled. Every room links tomograph_compile, nothing else sets flags.
include(${CMAKE_CURRENT_LIST_DIR}/Processor.cmake)
add_library(tomograph_compile INTERFACE)
target_compile_features(tomograph_compile INTERFACE cxx_std_20)
# Most of a file's time is the templates that its neighbours make as well: some files of a room are compiled at once.
# Names of one then stand where another's locals may hide them.
set(unity OFF)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    set(unity ON)
endif()
option(TOMOGRAPH_UNITY "Compile some files of a room at once, in half the time; OFF for who changes them one by one" ${unity})
set(shadow -Wshadow)
if(TOMOGRAPH_UNITY)
    set(CMAKE_UNITY_BUILD ON)
    set(CMAKE_UNITY_BUILD_BATCH_SIZE 6)
    set(shadow $<IF:$<CXX_COMPILER_ID:GNU>,-Wshadow=local$<SEMICOLON>-Wno-subobject-linkage,-Wno-shadow>)
endif()
target_compile_options(tomograph_compile INTERFACE
    $<BUILD_INTERFACE:-Wall -Wextra -Wpedantic ${shadow} -Werror>)
# GCC 12 reports several things in its own std::string when that is inlined (its bug 105329), and "maybe-uninitialized" in
# its own AVX-512 intrinsics (105593). The sanitizers find what is truly so.
# Option structs are filled by designated initialisers, which leave the rest at its defaults on purpose.
foreach(warning restrict stringop-overflow stringop-overread array-bounds maybe-uninitialized missing-field-initializers)
    target_compile_options(tomograph_compile INTERFACE $<BUILD_INTERFACE:-Wno-${warning}>)
endforeach()
# Eigen's alignment depends on the instruction set, so every room must be compiled for the same one.
if(TOMOGRAPH_NATIVE)
    # The definition is for ccache and ninja, to which -march=native looks the same on every processor.
    target_compile_options(tomograph_compile INTERFACE
        $<BUILD_INTERFACE:-march=native> $<BUILD_INTERFACE:-DTOMOGRAPH_PROCESSOR_${TOMOGRAPH_PROCESSOR}>)
endif()
# The threads of OpenMP are the ones that llama.cpp computes with. Eigen would share its products among them, beside
# threads of ours that already do.
find_package(OpenMP COMPONENTS CXX)
if(OpenMP_CXX_FOUND)
    target_compile_options(tomograph_compile INTERFACE $<BUILD_INTERFACE:${OpenMP_CXX_FLAGS}>)
    target_compile_definitions(tomograph_compile INTERFACE $<BUILD_INTERFACE:EIGEN_DONT_PARALLELIZE>)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_definitions(tomograph_compile INTERFACE $<BUILD_INTERFACE:_GLIBCXX_ASSERTIONS>)
endif()
if(TOMOGRAPH_FUZZ)
    # Coverage of every room. Clang warns of other things than GCC, whose warnings are the ones that count.
    target_compile_options(tomograph_compile INTERFACE $<BUILD_INTERFACE:
        -fsanitize=fuzzer-no-link,float-cast-overflow -Wno-error -Wno-unknown-warning-option>)
endif()
if(TOMOGRAPH_SANITIZE)
    target_compile_options(tomograph_compile INTERFACE
        $<BUILD_INTERFACE:-fsanitize=${TOMOGRAPH_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer>)
    # With a sanitizer's checks between them, GCC 12 reports those intrinsics as plainly uninitialised.
    target_compile_options(tomograph_compile INTERFACE $<BUILD_INTERFACE:-Wno-uninitialized>)
    target_link_options(tomograph_compile INTERFACE
        $<BUILD_INTERFACE:-fsanitize=${TOMOGRAPH_SANITIZE}>)
endif()

# Most of a file's time is the reading of what others wrote: it is read once for the rooms, once for the program and
# once for the tests. Off, every file has to name what it uses.
option(TOMOGRAPH_PRECOMPILE "Read the headers of libraries once, not in every file" ON)
# tomograph_precompiled(TARGET OWNER [HEADER...]): TARGET reads what OWNER has read. The owner itself reads it, and HEADERs.
function(tomograph_precompiled target owner)
    if(NOT TOMOGRAPH_PRECOMPILE)
        return()
    endif()
    if(NOT target STREQUAL owner)
        target_precompile_headers(${target} REUSE_FROM ${owner})
        return()
    endif()
    target_precompile_headers(${target} PRIVATE
        <algorithm> <array> <atomic> <chrono> <cmath> <cstdint> <cstring> <filesystem> <fstream> <functional> <limits>
        <map> <memory> <numeric> <optional> <random> <set> <span> <string> <string_view> <thread> <utility> <vector>
        <fmt/format.h> <nlohmann/json.hpp> <Eigen/Dense> ${ARGN})
endfunction()

find_program(TOMOGRAPH_CCACHE ccache)
if(TOMOGRAPH_CCACHE)
    # What it says itself that precompiled headers need.
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
        ${TOMOGRAPH_CCACHE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND TOMOGRAPH_PRECOMPILE)
        add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
    endif()
endif()
