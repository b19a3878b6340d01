# The release of the package llama-cpp-python whose vendored llama.cpp we build; scripts/setup reads it too.
set(TOMOGRAPH_LLAMA_VERSION 0.3.36)
