#include "tomograph/exchange/npy.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"

namespace tomograph {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
/// NumPy itself refuses to read more than 10,000 bytes from a file that it does not trust.
constexpr std::uint32_t kLongestHeader = 65536;
constexpr const char* kSave = "save it with numpy.save(path, array.astype('float32'))";
constexpr const char* kAgain = "save or copy it again";

struct NpyHeader {
    std::string type;
    std::vector<std::int64_t> shape;
    bool fortran = false;
};

struct Unread {
    std::string why, mend;
};

/// Reads the header's dictionary, a Python literal: two kinds of value that are known beforehand, and a tuple
/// of whole numbers. What is nested deeper is a type that cannot be used, so that nothing here calls itself.
class HeaderReader {
  public:
    explicit HeaderReader(std::string_view text) : text_(text) {}

    NpyHeader read() {
        NpyHeader header;
        bool has_type = false, has_order = false, has_shape = false;
        expect('{');
        while (!accept('}')) {
            const std::string key = word();
            expect(':');
            if (key == "descr" && !has_type) {
                if (peek() == '[' || peek() == '(' || peek() == '{')
                    throw Unread{"it holds records of several fields, not numbers",
                                 "save one field: numpy.save(path, array['field'])"};
                header.type = word();
                has_type = true;
            } else if (key == "fortran_order" && !has_order) {
                header.fortran = truth();
                has_order = true;
            } else if (key == "shape" && !has_shape) {
                header.shape = tuple();
                has_shape = true;
            } else {
                throw Unread{"its header has an entry '" + without_controls(key, false) + "' too many",
                             kSave};
            }
            if (!accept(',') && peek() != '}') fail();
        }
        if (!has_type || !has_order || !has_shape)
            throw Unread{"its header lacks one of descr, fortran_order and shape", kSave};
        return header;
    }

  private:
    [[noreturn]] void fail() const { throw Unread{"its header is not one that NumPy writes", kSave}; }
    char peek() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    bool accept(char c) {
        if (peek() != c || at_ == text_.size()) return false;
        ++at_;
        return true;
    }
    void expect(char c) {
        if (!accept(c)) fail();
    }
    std::string word() {
        const char quote = peek();
        if (quote != '\'' && quote != '"') fail();
        const std::size_t end = text_.find(quote, at_ + 1);
        if (end == std::string_view::npos) fail();
        const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
        return std::string(inside);
    }
    bool truth() {
        peek();
        for (const std::string_view value : {"True", "False"}) {
            if (!text_.substr(at_).starts_with(value)) continue;
            at_ += value.size();
            return value == "True";
        }
        fail();
    }
    std::vector<std::int64_t> tuple() {
        std::vector<std::int64_t> values;
        expect('(');
        while (!accept(')')) {
            peek();
            std::int64_t value = -1;
            const auto parsed = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
            if (parsed.ec == std::errc::result_out_of_range)
                throw Unread{"its shape needs more bytes than there are numbers for", kAgain};
            if (parsed.ec != std::errc{} || value < 0) fail();
            at_ = static_cast<std::size_t>(parsed.ptr - text_.data());
            accept('L');  // Python 2
            values.push_back(value);
            if (!accept(',') && peek() != ')') fail();
        }
        return values;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

NpyHeader read_header(std::string_view text) {
    return HeaderReader(text).read();
}

/// "<f4" and its like: byte order, kind, bytes.
std::optional<Element> find_type(std::string_view type) {
    if (type.empty() || std::string_view("<>|=").find(type.front()) == std::string_view::npos)
        return std::nullopt;
    static constexpr std::pair<std::string_view, Element> kTypes[] = {
        {"f2", Element::f16}, {"f4", Element::f32}, {"f8", Element::f64}, {"i1", Element::i8},
        {"u1", Element::u8},  {"i2", Element::i16}, {"u2", Element::u16}, {"i4", Element::i32},
        {"u4", Element::u32}, {"i8", Element::i64}, {"u8", Element::u64}, {"b1", Element::boolean}};
    for (const auto& [name, element] : kTypes) {
        if (type.substr(1) == name) return element;
    }
    return std::nullopt;
}

/// Why a type cannot be used, and the mend.
std::pair<std::string, std::string> unusable(const std::string& type) {
    const char kind = type.size() > 1 ? type[1] : '?';
    if (kind == 'O')
        return {"it holds pickled Python objects, which are not read",
                "make one array of numbers of them: numpy.save(path, "
                "numpy.stack(list(array)).astype('float32'))"};
    if (type == "|V2" || type == "<V2")
        return {"it holds bytes without a type (" + type + "), as bfloat16 is saved", kSave};
    if (kind == 'c') return {"it holds complex numbers", "save the real or the imaginary part"};
    if (kind == 'U' || kind == 'S')
        return {"it holds text, not numbers", "save the vectors; labels go into a CSV"};
    return {"it holds " + without_controls(type, false) + ", which is no number that is read", kSave};
}

}  // namespace

NpyWriter::NpyWriter(const std::filesystem::path& path, const std::vector<std::int64_t>& shape)
    : file_(path) {
    std::string extents;
    for (const std::int64_t extent : shape) {
        extents += fmt::format("{}, ", extent);
        left_ *= static_cast<std::size_t>(extent);
    }
    std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", extents);
    // Magic, version and the header's length take 10 bytes; the whole is padded to 64 and ends with a line
    // break.
    while ((10 + header.size() + 1) % 64 != 0) header += ' ';
    header += '\n';
    const auto size = static_cast<std::uint16_t>(header.size());
    file_.write(std::string_view("\x93NUMPY\x01\x00", 8));
    file_.write(std::string_view(reinterpret_cast<const char*>(&size), 2));
    file_.write(header);
}

void NpyWriter::write(const float* values, std::size_t n) {
    if (n > left_) throw Error("more values than the array's shape holds", "", "");
    file_.write(std::string_view(reinterpret_cast<const char*>(values), n * sizeof(float)));
    left_ -= n;
}

void NpyWriter::finish() {
    if (left_ != 0) throw Error("fewer values than the array's shape holds", "", "");
    file_.commit();
}

ForeignArray read_npy(const std::filesystem::path& path) {
    const auto file = std::make_shared<const MappedFile>(path);
    const std::string_view all(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
    const auto refuse = [&](const std::string& why, const std::string& mend) {
        throw Error(path.string() + " cannot be imported", why, mend);
    };
    if (!all.starts_with(kMagic)) refuse("it is not a .npy file", kSave);
    if (all.size() < kMagic.size() + 4) refuse("it is cut in its header", kAgain);
    // Version 1 has 2 bytes for the header's length, later ones 4.
    const auto version = static_cast<unsigned char>(all[kMagic.size()]);
    if (version < 1 || version > 3) refuse(fmt::format("it is of version {}, not 1 to 3", version), kSave);
    const std::size_t length_bytes = version == 1 ? 2 : 4, begin = kMagic.size() + 2 + length_bytes;
    if (all.size() < begin) refuse("it is cut in its header", kAgain);
    std::uint32_t length = 0;
    std::memcpy(&length, all.data() + kMagic.size() + 2, length_bytes);
    if (length > kLongestHeader)
        refuse(fmt::format("its header is said to have {} bytes, and NumPy's have some hundred", length),
               kSave);
    if (length > all.size() - begin) refuse("it is cut in its header", kAgain);
    NpyHeader header;
    try {
        header = read_header(all.substr(begin, length));
    } catch (const Unread& unread) {
        refuse(unread.why, unread.mend);
    }
    const auto type = find_type(header.type);
    if (!type) {
        const auto [why, mend] = unusable(header.type);
        refuse(why, mend);
    }
    std::size_t bytes = element_size(*type);
    for (const std::int64_t extent : header.shape) {
        if (extent == 0) refuse("it is empty", "");
        if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes))
            refuse("its shape needs more bytes than there are numbers for", kAgain);
    }
    const std::size_t room = all.size() - begin - length;
    if (bytes > room)
        refuse(fmt::format("it is cut: its shape needs {} bytes and it has {}", bytes, room), kAgain);
    return {file,           file->bytes().subspan(begin + length),
            *type,          header.shape,
            header.fortran, header.type.front() == '>' && element_size(*type) > 1};
}

}  // namespace tomograph
