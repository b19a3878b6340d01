# Everything we build on. scripts/setup installs the Debian packages and builds llama.cpp; a packager who
# brings llama.cpp in another way sets CMAKE_PREFIX_PATH.
if(DEFINED ENV{TOMOGRAPH_CACHE})
    set(tomograph_cache $ENV{TOMOGRAPH_CACHE})
elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(tomograph_cache $ENV{XDG_CACHE_HOME}/tomograph)
else()
    set(tomograph_cache $ENV{HOME}/.cache/tomograph)
endif()
include(${CMAKE_CURRENT_LIST_DIR}/LlamaVersion.cmake)
find_package(Threads REQUIRED)
set(tomograph_llama ${tomograph_cache}/llama-${TOMOGRAPH_LLAMA_VERSION}-${TOMOGRAPH_LLAMA_REVISION}-${TOMOGRAPH_PROCESSOR})
# A build folder remembers where llama.cpp and what lies beside it were; an older one of the cache must not
# outlive its version.
foreach(place llama_DIR llama_LIBRARY ggml_DIR TOMOGRAPH_JINJA TOMOGRAPH_HTTPLIB_INCLUDE TOMOGRAPH_HTTPLIB_SOURCE)
    string(FIND "${${place}}" "${tomograph_cache}/" in_cache)
    string(FIND "${${place}}" "${tomograph_llama}/" is_current)
    if(in_cache EQUAL 0 AND NOT is_current EQUAL 0)
        unset(${place} CACHE)
    endif()
endforeach()
find_package(llama QUIET HINTS ${tomograph_llama})
if(NOT llama_FOUND)
    message(FATAL_ERROR "llama.cpp is not installed: run scripts/setup first (scripts/setup --portable "
        "for the preset portable), or set CMAKE_PREFIX_PATH to where your llama.cpp is installed")
endif()
# The engine for chat templates, a part of llama.cpp's tree that its libraries do not hold.
find_path(TOMOGRAPH_JINJA jinja/runtime.h HINTS ${tomograph_llama}/src/jinja NO_DEFAULT_PATH)
if(NOT TOMOGRAPH_JINJA)
    message(FATAL_ERROR "llama.cpp's template engine is not installed: run scripts/setup first, or set TOMOGRAPH_JINJA to "
        "a folder with the folder jinja and the files json.* and unicode.* of llama.cpp's folder common")
endif()
# cpp-httplib: Debian 12 has 0.11, years old; llama.cpp's tree carries a current one.
if(TOMOGRAPH_VIEWER)
    find_path(TOMOGRAPH_HTTPLIB_INCLUDE httplib.h HINTS ${tomograph_llama}/include NO_DEFAULT_PATH)
    find_file(TOMOGRAPH_HTTPLIB_SOURCE httplib.cpp HINTS ${tomograph_llama}/src NO_DEFAULT_PATH)
    if(NOT TOMOGRAPH_HTTPLIB_INCLUDE OR NOT TOMOGRAPH_HTTPLIB_SOURCE)
        message(FATAL_ERROR "cpp-httplib is not installed: run scripts/setup first, or set TOMOGRAPH_HTTPLIB_INCLUDE "
            "and TOMOGRAPH_HTTPLIB_SOURCE to the folder of its httplib.h and to its httplib.cpp")
    endif()
endif()
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(Spectra REQUIRED)
find_package(nlohmann_json 3.10 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
# Models from a hub: curl fetches, libcrypto checks.
find_package(CURL 7.85 REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)

find_path(TOMOGRAPH_CBLAS_INCLUDE cblas.h PATH_SUFFIXES openblas x86_64-linux-gnu/openblas-pthread REQUIRED)
find_library(TOMOGRAPH_OPENBLAS openblas REQUIRED)
find_library(TOMOGRAPH_LAPACKE lapacke REQUIRED)
find_path(TOMOGRAPH_XXHASH_INCLUDE xxhash.h REQUIRED)
find_library(TOMOGRAPH_XXHASH xxhash REQUIRED)
