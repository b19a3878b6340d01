// Between LibFuzzer and a fuzzer. `fuzz_NAME --good=FOLDER` writes the inputs to begin from and ends.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "fuzz.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    if (tomograph::fuzz::wrote_good_inputs(*argc, *argv)) std::exit(0);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    tomograph::fuzz::parse({reinterpret_cast<const char*>(bytes), size});
    return 0;
}
