#pragma once
#include <string>
#include <vector>

namespace tomograph {

/// Most workers that llama.cpp knows at once.
inline constexpr std::size_t kMostWorkers = 16;

struct WorkerAddress {
    std::string host;  ///< a name or a numeric IPv4 address
    int port = 0;
    std::string text() const;  ///< HOST:PORT
};
/// Errors: Error when `text` is not HOST:PORT.
WorkerAddress parse_worker_address(const std::string& text);

/// Models that are opened afterwards have their layers on these workers, the processes of a serve_worker(),
/// in proportion to the memory that they say is free; what is not in a layer stays here.
/// Errors: Error naming the one that cannot be reached, is none, is busy with somebody else, or speaks
/// another version. A worker that is lost later ends the process by the fatal handler (see model.h); for that
/// SIGPIPE is ignored from then on.
void use_workers(const std::vector<WorkerAddress>& addresses);

/// The workers in use, as numeric HOST:PORT.
const std::vector<std::string>& workers();

/// Computes for whoever connects to `host`, a numeric IPv4 address, one client after another, with `threads`
/// threads (0: all that this process may run on); says on standard output who comes and goes. The protocol
/// is llama.cpp's: it knows neither passwords nor encryption, and its client can use all of this process's
/// memory. Returns never. Errors: Error when it cannot listen there.
[[noreturn]] void serve_worker(const std::string& host, int port, int threads);

}  // namespace tomograph
