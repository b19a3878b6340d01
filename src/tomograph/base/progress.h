#pragma once
#include <cstdint>
#include <string>

namespace tomograph {

/// How long work reports itself and learns that it should stop. The library never prints: cli/ and serve/
/// bring their own. The default one is silent and never stops.
class Progress {
  public:
    virtual ~Progress() = default;
    /// A task of `total` units starts; `unit` is a plural noun, for example "tokens".
    virtual void begin(const std::string& task, std::int64_t total, const std::string& unit) {
        (void)task, (void)total, (void)unit;
    }
    /// `done` units of the current task are complete.
    virtual void update(std::int64_t done) { (void)done; }
    virtual void end() {}
    /// True once the user asked to stop; long loops test it between blocks.
    virtual bool stop_requested() const { return false; }
};

/// The silent one.
inline Progress& no_progress() {
    static Progress silent;
    return silent;
}

}  // namespace tomograph
