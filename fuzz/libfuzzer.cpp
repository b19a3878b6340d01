// Between LibFuzzer and a fuzzer. `fuzz_NAME --good=FOLDER` writes the inputs to begin from and ends.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "fuzz.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    constexpr std::string_view kGood = "--good=";
    if (*argc != 2 || !std::string_view((*argv)[1]).starts_with(kGood)) return 0;
    const std::string folder((*argv)[1] + kGood.size());
    int number = 0;
    for (const std::string& input : tomograph::fuzz::good_inputs())
        std::ofstream(folder + "/good-" + std::to_string(number++), std::ios::binary) << input;
    std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    tomograph::fuzz::parse({reinterpret_cast<const char*>(bytes), size});
    return 0;
}
