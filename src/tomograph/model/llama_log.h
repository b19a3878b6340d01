#pragma once
#include <functional>
#include <string>
#include <vector>

namespace tomograph {

/// Start llama.cpp, once, and collect what it logs: errors, whose first becomes ours, and warnings, some of
/// which change what a model reads.
void start_llama();

void clear_llama_errors();
/// The cause of what failed since clear_llama_errors, on any thread.
std::string last_llama_error();

/// Lines of warning that llama.cpp gave on this thread since the last call.
std::vector<std::string> take_llama_warnings();

/// While it lives, `hear` gets what llama.cpp says on this thread of the work under way. What it throws
/// passes through llama.cpp, which catches all exceptions of the standard's family at its border. One at a
/// time.
class LlamaListener {
  public:
    explicit LlamaListener(std::function<void(const std::string& text)> hear);
    ~LlamaListener();
    LlamaListener(const LlamaListener&) = delete;
    LlamaListener& operator=(const LlamaListener&) = delete;
};

}  // namespace tomograph
