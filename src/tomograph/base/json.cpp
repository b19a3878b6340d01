#include "tomograph/base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
#include <utility>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/text.h"

namespace tomograph {
namespace {

/// Builds the value while the parser reads. The library's own builder looks every key up in a list, which
/// takes minutes for an object of a million keys, keeps the last of two equal keys in silence and goes to any
/// depth.
class Builder : public nlohmann::json_sax<Json> {
  public:
    Json& root() { return root_; }

    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(value); }
    bool number_unsigned(number_unsigned_t value) override { return add(value); }
    bool number_float(number_float_t value, const string_t&) override { return add(value); }
    bool string(string_t& value) override { return add(std::move(value)); }
    bool binary(binary_t&) override { return false; }  // JSON text holds none
    bool start_object(std::size_t) override { return open(Json::object()); }
    bool start_array(std::size_t) override { return open(Json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override {
        Open& object = open_.back();
        if (!object.keys.insert(name).second)
            throw JsonError(fmt::format("the key \"{}\" stands twice in one object", shown(name)));
        object.key = std::move(name);
        return true;
    }

    bool parse_error(std::size_t, const std::string& last_read, const Json::exception& error) override {
        // The library quotes all that it last read, which is as long as the file where a quote is not closed.
        std::string_view why = error.what();
        why.remove_prefix(std::min(why.find("] ") + 2, why.size()));
        const std::size_t quote = why.find("; last read: ");
        const std::string_view said = why.substr(0, quote);
        const std::string_view rest =
            quote == why.npos ? "" : why.substr(std::min(quote + 15 + last_read.size(), why.size()));
        throw JsonError(quote == why.npos
                            ? std::string(said)
                            : fmt::format("{}; last read: '{}'{}", said, shown(last_read), rest));
    }

  private:
    struct Open {
        Json value;
        std::unordered_set<std::string> keys;  // of an object
        std::string key;                       // that waits for its value
    };

    static std::string shown(const std::string& text) {
        constexpr std::size_t kMost = 40;
        return text.size() <= kMost ? printable(text) : printable(text.substr(0, kMost)) + "…";
    }

    bool add(Json value) {
        if (open_.empty()) {
            root_ = std::move(value);
        } else if (Open& in = open_.back(); in.value.is_array()) {
            in.value.get_ref<Json::array_t&>().push_back(std::move(value));
        } else {
            in.value.get_ref<Json::object_t&>().emplace_back(std::move(in.key), std::move(value));
        }
        return true;
    }
    bool open(Json value) {
        if (open_.size() == kJsonDepth)
            throw JsonError(fmt::format("it is nested more than {} deep", kJsonDepth));
        open_.push_back({std::move(value), {}, {}});
        return true;
    }
    bool close() {
        Json value = std::move(open_.back().value);
        open_.pop_back();
        return add(std::move(value));
    }

    Json root_;
    std::vector<Open> open_;
};

}  // namespace

Json parse_json(std::string_view text) {
    // The library takes a zero byte for the end, and what comes after it would go unseen.
    if (const std::size_t zero = text.find('\0'); zero != text.npos)
        throw JsonError(fmt::format("byte {} is zero, which no text holds", zero));
    Builder builder;
    Json::sax_parse(text, &builder);
    return std::move(builder.root());
}

Json read_json(const std::filesystem::path& path) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
        const bool there = std::filesystem::exists(path, error);
        throw Error("cannot read " + path.string(),
                    there ? "it is not a regular file" : "no such file, or no permission", "");
    }
    const MappedFile file(path);
    try {
        return parse_json({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
    } catch (const JsonError& e) {
        throw Error(path.string() + " is not valid JSON", e.what(),
                    "the file was cut or edited; make it again");
    }
}

std::string json_text(const Json& json, int indent) {
    return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

void write_json(const std::filesystem::path& path, const Json& json) {
    AtomicFile file(path);
    file.write(json_text(json, 1) + "\n");
    file.commit();
}

}  // namespace tomograph
