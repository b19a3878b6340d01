# A build for this machine's processor is worthless on another one, and both caches of it (llama.cpp's prefix and
# ccache) may be shared between machines: TOMOGRAPH_PROCESSOR names the processor's instruction sets in eight
# characters, "portable" when the build is for any. scripts/common.sh computes the same.
if(NOT TOMOGRAPH_NATIVE)
    set(tomograph_processor portable)
elseif(EXISTS /proc/cpuinfo)
    file(STRINGS /proc/cpuinfo features REGEX "^(flags|Features)[ \t]*:" LIMIT_COUNT 1)
    string(SHA256 tomograph_processor "${features}")
    string(SUBSTRING ${tomograph_processor} 0 8 tomograph_processor)
else()
    set(tomograph_processor ${CMAKE_HOST_SYSTEM_PROCESSOR})
endif()

# A build folder that was configured on another processor still points at that one's llama.cpp.
if(DEFINED CACHE{TOMOGRAPH_PROCESSOR} AND NOT tomograph_processor STREQUAL "$CACHE{TOMOGRAPH_PROCESSOR}")
    get_cmake_property(stale CACHE_VARIABLES)
    list(FILTER stale INCLUDE REGEX "^(llama|ggml|GGML)_")
    foreach(variable IN LISTS stale)
        unset(${variable} CACHE)
    endforeach()
endif()
set(TOMOGRAPH_PROCESSOR ${tomograph_processor} CACHE INTERNAL "The processor that this build folder is for")
