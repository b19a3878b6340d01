# How our own code is compiled. Every room links tomograph_compile, nothing else sets flags.
include(${CMAKE_CURRENT_LIST_DIR}/Processor.cmake)
add_library(tomograph_compile INTERFACE)
target_compile_features(tomograph_compile INTERFACE cxx_std_20)
target_compile_options(tomograph_compile INTERFACE
    $<BUILD_INTERFACE:-Wall -Wextra -Wpedantic -Wshadow -Werror>)
# GCC 12 reports "restrict" in its own std::string operator+ when inlined (its bug 105329), and
# "maybe-uninitialized" in its own AVX-512 intrinsics (105593).
# Option structs are filled by designated initialisers, which leave the rest at its defaults on purpose.
target_compile_options(tomograph_compile INTERFACE
    $<BUILD_INTERFACE:-Wno-restrict> $<BUILD_INTERFACE:-Wno-maybe-uninitialized>
    $<BUILD_INTERFACE:-Wno-missing-field-initializers>)
# Eigen's alignment depends on the instruction set, so every room must be compiled for the same one.
if(TOMOGRAPH_NATIVE)
    # The definition is for ccache and ninja, to which -march=native looks the same on every processor.
    target_compile_options(tomograph_compile INTERFACE
        $<BUILD_INTERFACE:-march=native> $<BUILD_INTERFACE:-DTOMOGRAPH_PROCESSOR_${TOMOGRAPH_PROCESSOR}>)
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

find_program(TOMOGRAPH_CCACHE ccache)
if(TOMOGRAPH_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${TOMOGRAPH_CCACHE})
endif()
