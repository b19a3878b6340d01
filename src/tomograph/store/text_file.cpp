#include "tomograph/store/text_file.h"

#include "tomograph/base/file.h"

namespace tomograph {

void write_text(const std::filesystem::path& path, const std::string& text, bool durable) {
    AtomicFile file(path);
    file.write(text);
    if (durable) file.sync();
    file.commit();
}

}  // namespace tomograph
