# The release of the package llama-cpp-python whose vendored llama.cpp we build; scripts/setup reads it too.
set(TOMOGRAPH_LLAMA_VERSION 0.3.36)
# SHA-256 of its archive. The converter of Hugging Face folders comes from the same one, when it is first used.
set(TOMOGRAPH_LLAMA_SHA256 832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e)
# Counts what scripts/setup installs beside it, so that a folder made by an older one is not taken for whole.
set(TOMOGRAPH_LLAMA_REVISION 6)
