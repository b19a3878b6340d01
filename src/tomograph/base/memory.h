#pragma once
#include <cstddef>
#include <cstdint>

namespace tomograph {

/// For a program's start: blocks of 4 MB and more go back to the system as soon as they are freed. glibc
/// would learn to keep them for later, under the peak of what comes next. Does nothing with other C
/// libraries.
void return_large_blocks();

/// Bytes that programs can still take without pushing others out (Linux's MemAvailable); 0 where nobody says.
std::uint64_t available_memory();

/// Uninitialised memory, released by free(), on a cache line's boundary. From some megabytes on it lies on
/// large pages where the system gives them to who asks: what is read here and there then seldom misses the
/// translation of its address, which in a virtual machine costs more than the read. Errors: std::bad_alloc.
void* allocate_aligned(std::size_t bytes);

}  // namespace tomograph
