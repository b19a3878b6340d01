# The release of the package llama-cpp-python whose vendored llama.cpp we build; scripts/setup reads it too.
set(TOMOGRAPH_LLAMA_VERSION 0.3.36)
# Counts what scripts/setup installs beside it, so that a folder made by an older one is not taken for whole.
set(TOMOGRAPH_LLAMA_REVISION 4)
