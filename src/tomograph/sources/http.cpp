#include "tomograph/sources/http.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/version.h"

namespace tomograph {
namespace {

constexpr std::size_t kMostText = 64 << 20;
constexpr long kConnectSeconds = 15, kSilentSeconds = 30;

/// One transfer of curl, with what all of ours have in common.
class Transfer {
  public:
    Transfer(const std::string& url, const HttpOptions& options) : stop_requested_(options.stop_requested) {
        static std::once_flag once;
        std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
        handle_.reset(curl_easy_init());
        if (!handle_) throw Error("cannot use the network", "curl has no handle", "");
        set(CURLOPT_URL, url.c_str());
        set(CURLOPT_PROTOCOLS_STR, "http,https");
        set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
        set(CURLOPT_USERAGENT, fmt::format("tomograph/{}", kVersion).c_str());
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_MAXREDIRS, 10L);
        set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
        set(CURLOPT_LOW_SPEED_LIMIT, 1L);
        set(CURLOPT_LOW_SPEED_TIME, kSilentSeconds);
        set(CURLOPT_ERRORBUFFER, message_);
        set(CURLOPT_HEADERFUNCTION, take_header);
        set(CURLOPT_HEADERDATA, this);
        set(CURLOPT_NOPROGRESS, 0L);
        set(CURLOPT_XFERINFOFUNCTION, watch);
        set(CURLOPT_XFERINFODATA, this);
        if (!options.token.empty()) {
            headers_.reset(curl_slist_append(nullptr, ("Authorization: Bearer " + options.token).c_str()));
            set(CURLOPT_HTTPHEADER, headers_.get());
        }
    }
    template <class Value>
    void set(CURLoption option, Value value) {
        curl_easy_setopt(handle_.get(), option, value);
    }
    long status() const {
        long status = 0;
        curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
        return status;
    }
    /// Errors: as http_get.
    void run(const std::string& url) {
        const CURLcode code = curl_easy_perform(handle_.get());
        if (stopped_) throw Stopped("nothing is kept");
        const std::string why = message_[0] != '\0' ? message_ : curl_easy_strerror(code);
        switch (code) {
            case CURLE_OK:
                return;
            case CURLE_URL_MALFORMAT:
            case CURLE_UNSUPPORTED_PROTOCOL:
            case CURLE_TOO_MANY_REDIRECTS:
            case CURLE_PEER_FAILED_VERIFICATION:
            case CURLE_WRITE_ERROR:
                throw Error("cannot read " + url, why, "");
            default:
                throw Unreachable(why);
        }
    }
    std::map<std::string, std::string> headers;

  private:
    static std::size_t take_header(char* bytes, std::size_t, std::size_t size, void* self) {
        auto& headers = static_cast<Transfer*>(self)->headers;
        std::string_view line(bytes, size);
        if (line.starts_with("HTTP/")) headers.clear();  // of an answer that only led here
        if (const auto colon = line.find(':'); colon != std::string_view::npos) {
            std::string name(line.substr(0, colon)), value(line.substr(colon + 1));
            for (char& letter : name)
                letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
            value.erase(0, value.find_first_not_of(" \t"));
            value.erase(value.find_last_not_of(" \t\r\n") + 1);
            headers[name] = value;
        }
        return size;
    }
    static int watch(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
        auto* transfer = static_cast<Transfer*>(self);
        transfer->stopped_ = transfer->stop_requested_ && transfer->stop_requested_();
        return transfer->stopped_ ? 1 : 0;
    }
    struct Cleanup {
        void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
        void operator()(curl_slist* list) const { curl_slist_free_all(list); }
    };
    std::unique_ptr<CURL, Cleanup> handle_;
    std::unique_ptr<curl_slist, Cleanup> headers_;
    std::function<bool()> stop_requested_;
    bool stopped_ = false;
    char message_[CURL_ERROR_SIZE] = "";
};

std::size_t take_text(char* bytes, std::size_t, std::size_t size, void* text) {
    auto& body = *static_cast<std::string*>(text);
    if (body.size() + size > kMostText) return 0;
    body.append(bytes, size);
    return size;
}

/// Where a download goes.
struct Sink {
    Transfer& transfer;
    int descriptor;
    std::uint64_t size;
    bool begun = false;
    int error = 0;
    const std::function<void(std::uint64_t)>& update;

    static std::size_t take(char* bytes, std::size_t, std::size_t count, void* self) {
        auto& sink = *static_cast<Sink*>(self);
        const long status = sink.transfer.status();
        if (status != 200 && status != 206) return count;  // the page that explains an error
        if (!std::exchange(sink.begun, true) && status == 200) {
            if (::ftruncate(sink.descriptor, 0) != 0) return sink.error = errno, 0;
            sink.size = 0;
        }
        std::size_t done = 0;
        while (done < count) {
            const ssize_t written =
                ::pwrite(sink.descriptor, bytes + done, count - done, static_cast<off_t>(sink.size + done));
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) return sink.error = errno, 0;
            done += static_cast<std::size_t>(written);
        }
        sink.size += count;
        sink.update(sink.size);
        return count;
    }
};

}  // namespace

HttpAnswer http_get(const std::string& url, const HttpOptions& options) {
    Transfer transfer(url, options);
    HttpAnswer answer;
    transfer.set(CURLOPT_FOLLOWLOCATION, 1L);
    transfer.set(CURLOPT_WRITEFUNCTION, take_text);
    transfer.set(CURLOPT_WRITEDATA, &answer.body);
    transfer.run(url);
    answer.status = transfer.status();
    answer.headers = std::move(transfer.headers);
    return answer;
}

HttpAnswer http_head(const std::string& url, const HttpOptions& options) {
    Transfer transfer(url, options);
    transfer.set(CURLOPT_NOBODY, 1L);
    transfer.run(url);
    return {transfer.status(), std::move(transfer.headers), ""};
}

long http_download(const std::string& url, const std::filesystem::path& file, const HttpOptions& options,
                   const std::function<void(std::uint64_t)>& update) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) throw Error("cannot write " + file.string(), std::strerror(errno), "");
    const std::unique_ptr<const int, void (*)(const int*)> closing(&descriptor,
                                                                   [](const int* d) { ::close(*d); });
    const std::uint64_t size = std::filesystem::file_size(file);
    Transfer transfer(url, options);
    Sink sink{.transfer = transfer, .descriptor = descriptor, .size = size, .update = update};
    const std::string range = fmt::format("{}-", size);
    transfer.set(CURLOPT_FOLLOWLOCATION, 1L);
    if (size > 0) transfer.set(CURLOPT_RANGE, range.c_str());
    transfer.set(CURLOPT_WRITEFUNCTION, Sink::take);
    transfer.set(CURLOPT_WRITEDATA, &sink);
    try {
        transfer.run(url);
    } catch (const Error&) {
        if (sink.error == 0) throw;
        throw Error("cannot write " + file.string(), std::strerror(sink.error),
                    "free some disk space, or set HF_HUB_CACHE to a folder elsewhere");
    }
    return transfer.status();
}

}  // namespace tomograph
