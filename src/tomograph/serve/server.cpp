#include "tomograph/serve/server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <charconv>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/serve/guard.h"
#include "tomograph/serve/live.h"
#include "tomograph/serve/nearest.h"
#include "tomograph/serve/page.h"
#include "tomograph/serve/place.h"
#include "tomograph/serve/way.h"

namespace tomograph {
namespace {

using Request = httplib::Request;
using Response = httplib::Response;

/// A connection that is kept alive holds a thread, and a browser keeps six.
constexpr std::size_t kThreads = 32;
constexpr int kMostNeighbors = 100;

constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src "
    "'self'; "
    "worker-src blob:; base-uri 'none'; form-action 'none'";
constexpr const char* kNoFrame = "; frame-ancestors 'none'";

template <typename Number>
Number number(const std::string& text, const char* what) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        throw Refusal{400, fmt::format("{} is no number", what)};
    return value;
}

void send_json(Response& response, const Json& json, int status = 200) {
    response.status = status;
    response.set_header("Cache-Control", "no-store");
    response.set_content(json_text(json), "application/json");
}

/// Whole or in the ranges asked for; 304 for those who have it.
void send_column(const Request& request, Response& response, const ColumnPtr& column,
                 const char* type = "application/octet-stream") {
    response.set_header("ETag", column->etag);
    response.set_header("Cache-Control", "no-cache");
    response.set_header("X-Dtype", column->dtype);
    const std::string known = request.get_header_value("If-None-Match");
    if (known == "*" || known.find(column->etag) != std::string::npos) {
        response.status = 304;
        return;
    }
    if (column->bytes.empty()) {
        response.set_content("", type);
        return;
    }
    response.set_content_provider(column->bytes.size(), type,
                                  [column](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
                                      constexpr std::size_t kPiece = 1 << 20;
                                      return sink.write(column->bytes.data() + offset,
                                                        std::min(length, kPiece));
                                  });
}

/// A page that asks for parts of one version must not get some of the next.
void check_version(const Request& request, const std::string& version) {
    if (request.has_param("v") && request.get_param_value("v") != version)
        throw Refusal{412, "this was made anew meanwhile; look again"};
}

std::string version_of(const ColumnSet& set) {
    return set.header.at("version").get<std::string>();
}

void send_header(const Request& request, Response& response, const ColumnSet& set) {
    check_version(request, version_of(set));
    send_json(response, set.header);
}

void send_column(const Request& request, Response& response, const ColumnSet& set) {
    check_version(request, version_of(set));
    const auto found = set.columns.find(request.path_params.at("column"));
    if (found == set.columns.end()) throw Refusal{404, "there is no such column"};
    send_column(request, response, found->second);
}

/// What a request that starts something asks for.
Json body_of(const Request& request) {
    if (request.body.size() > kLargestBody) throw Refusal{413, line_of(413)};
    if (!request.get_header_value("Content-Type").starts_with("application/json"))
        throw Refusal{415, "the request must be application/json"};
    try {
        return parse_json(request.body);
    } catch (const JsonError& e) {
        throw Refusal{400, fmt::format("the request is no JSON: {}", e.what())};
    }
}

void send_page(Response& response, const char* file, const char* type) {
    response.set_header("Cache-Control", "no-cache");
    const std::string_view bytes = page_file(file);
    response.set_content(bytes.data(), bytes.size(), type);
}

}  // namespace

struct ViewServer::Impl {
    Catalog& catalog;
    ServeOptions options;
    Jobs jobs;
    LivePrompts live;
    httplib::Server server;
    std::mutex searching;  // one search of the full space at a time
    int port = 0;
    std::string base;  // before every path

    Impl(Catalog& c, const ServeOptions& o) : catalog(c), options(o), jobs(c, o.limits), live(c, o.reader) {
        catalog.placer().limit(o.limits.umap_rows, o.limits.threads);
    }

    std::size_t run_of(const Request& request) const {
        const auto index = number<std::size_t>(request.path_params.at("run"), "the run");
        if (index >= catalog.n_runs()) throw Refusal{404, fmt::format("there is no run {}", index)};
        return index;
    }

    Component component_of(const Request& request) const {
        const auto component = find_component(request.path_params.at("component"));
        if (!component) throw Refusal{404, "there is no such component"};
        return *component;
    }

    static int how_many(const Request& request) {
        const int k = request.has_param("k") ? number<int>(request.get_param_value("k"), "k") : 10;
        if (k < 1 || k > kMostNeighbors)
            throw Refusal{400, fmt::format("k must lie between 1 and {}", kMostNeighbors)};
        return k;
    }

    void nearest(const Request& request, Response& response) {
        const std::size_t run = run_of(request);
        const auto row = number<std::int64_t>(request.get_param_value("row"), "row");
        const int k = how_many(request);
        const std::string& name = request.path_params.at("name");
        const auto map = catalog.rows(run, name);
        if (request.has_param("v")) check_version(request, map->version);
        const std::lock_guard one(searching);
        Json json = nearest_json(nearest_rows(map->rows, row, k));
        json["row"] = row;
        send_json(response, json);
    }

    void way(const Request& request, Response& response) {
        const std::size_t run = run_of(request);
        const auto token = number<std::int32_t>(request.get_param_value("token"), "token");
        const auto component = find_component(request.get_param_value("component"));
        if (!component) throw Refusal{404, "there is no such component"};
        const std::string& name = request.path_params.at("name");
        const std::string version = version_of(*catalog.projection(run, name));
        check_version(request, version);
        const auto owner = catalog.run(run);
        const auto map = catalog.load(run, name);
        const std::string key = fmt::format("{}/{}/{}", run, name, version);
        send_json(response, way_json(*owner, *map, catalog.placer(), key, token, *component));
    }

    /// A bit a point, the first one the lowest of the first byte.
    void take_selection(const Request& request, Response& response) {
        if (request.get_header_value("Content-Type") != "application/octet-stream")
            throw Refusal{415, "a selection is application/octet-stream"};
        PageSelection selection{.run = run_of(request), .projection = request.path_params.at("name")};
        selection.version = version_of(*catalog.projection(selection.run, selection.projection));
        check_version(request, selection.version);
        const std::int64_t n = catalog.load(selection.run, selection.projection)->points.rows();
        const std::string& bits = request.body;
        if (std::ssize(bits) != (n + 7) / 8)
            throw Refusal{400, fmt::format("a selection of {} points is {} bytes long", n, (n + 7) / 8)};
        for (std::int64_t row = 0; row < 8 * std::ssize(bits); ++row) {
            if (((static_cast<unsigned char>(bits[static_cast<std::size_t>(row / 8)]) >> (row % 8)) & 1) == 0)
                continue;
            if (row >= n) throw Refusal{400, fmt::format("there is no point {}", row)};
            selection.rows.push_back(row);
        }
        const std::size_t count = selection.rows.size();
        options.selected(std::move(selection));
        send_json(response, {{"selected", count}});
    }

    void add_routes() {
        const auto page = [this](const char* path, const char* file, const char* type) {
            server.Get(base + path, [file, type](const Request&, Response& a) { send_page(a, file, type); });
        };
        page("/", "index.html", "text/html; charset=utf-8");
        page("/viewer.js", "viewer.js", "text/javascript; charset=utf-8");
        page("/viewer.css", "viewer.css", "text/css; charset=utf-8");

        server.Get(base + "/api/manifest", [this](const Request&, Response& a) {
            Json json = catalog.manifest();
            const JobLimits& limits = jobs.limits();
            json["jobs"] = {{"pca_rows", limits.pca_rows},
                            {"umap_rows", limits.umap_rows},
                            {"dims", limits.dims},
                            {"umap", umap_defaults()}};
            if (live.on()) json["live"] = live.describe();
            if (options.selected) json["selection"] = true;
            send_json(a, json);
        });
        server.Get(base + "/api/runs/:run/tokens",
                   [this](const Request& q, Response& a) { send_header(q, a, *catalog.tokens(run_of(q))); });
        server.Get(base + "/api/runs/:run/tokens/:column",
                   [this](const Request& q, Response& a) { send_column(q, a, *catalog.tokens(run_of(q))); });
        server.Get(base + "/api/runs/:run/vocabulary", [this](const Request& q, Response& a) {
            const std::size_t run = run_of(q);
            check_version(q, catalog.run_version(run));
            send_column(q, a, catalog.vocabulary(run), "application/json");
        });
        server.Get(base + "/api/runs/:run/norms/:component", [this](const Request& q, Response& a) {
            const std::size_t run = run_of(q);
            check_version(q, catalog.run_version(run));
            send_column(q, a, catalog.norms(run, component_of(q)));
        });
        server.Get(base + "/api/runs/:run/projections/:name", [this](const Request& q, Response& a) {
            send_header(q, a, *catalog.projection(run_of(q), q.path_params.at("name")));
        });
        server.Get(base + "/api/runs/:run/projections/:name/nearest",
                   [this](const Request& q, Response& a) { nearest(q, a); });
        server.Get(base + "/api/runs/:run/projections/:name/way",
                   [this](const Request& q, Response& a) { way(q, a); });
        server.Get(base + "/api/runs/:run/projections/:name/:column", [this](const Request& q, Response& a) {
            send_column(q, a, *catalog.projection(run_of(q), q.path_params.at("name")));
        });
        server.Get(base + "/api/counterpart/:name", [this](const Request& q, Response& a) {
            send_header(q, a, *catalog.counterpart(q.path_params.at("name")));
        });
        server.Get(base + "/api/counterpart/:name/:column", [this](const Request& q, Response& a) {
            send_column(q, a, *catalog.counterpart(q.path_params.at("name")));
        });
        server.Get(base + "/api/figures/:file", [this](const Request& q, Response& a) {
            send_column(q, a, make_column("png", read_file(catalog.figure(q.path_params.at("file")))),
                        "image/png");
        });
        server.Post(base + "/api/jobs", [this](const Request& q, Response& a) {
            send_json(a, {{"id", jobs.start(body_of(q))}}, 202);
        });
        server.Get(base + "/api/jobs/:id", [this](const Request& q, Response& a) {
            send_json(a, jobs.status(number<int>(q.path_params.at("id"), "the job")));
        });
        server.Delete(base + "/api/jobs/:id", [this](const Request& q, Response& a) {
            const int id = number<int>(q.path_params.at("id"), "the job");
            jobs.cancel(id);
            send_json(a, jobs.status(id));
        });
        if (options.selected)
            server.Post(base + "/api/runs/:run/projections/:name/selection",
                        [this](const Request& q, Response& a) { take_selection(q, a); });
        add_live_routes();
    }

    void add_live_routes() {
        if (!live.on()) return;
        const auto id_of = [](const Request& q) { return number<int>(q.path_params.at("id"), "the prompt"); };
        server.Post(base + "/api/live", [this](const Request& q, Response& a) {
            send_json(a, {{"id", live.start(body_of(q))}}, 202);
        });
        server.Get(base + "/api/live/:id",
                   [this, id_of](const Request& q, Response& a) { send_json(a, live.status(id_of(q))); });
        server.Delete(base + "/api/live/:id", [this, id_of](const Request& q, Response& a) {
            const int id = id_of(q);
            live.cancel(id);
            send_json(a, live.status(id));
        });
        server.Get(base + "/api/live/:id/words", [this, id_of](const Request& q, Response& a) {
            send_json(a, live.words(id_of(q), number<std::int64_t>(q.get_param_value("token"), "token")));
        });
        server.Post(base + "/api/directions", [this](const Request& q, Response& a) {
            send_json(a, live.directions().find(body_of(q)));
        });
        server.Get(base + "/api/live/:id/effect",
                   [this, id_of](const Request& q, Response& a) { send_json(a, live.effect(id_of(q))); });
        server.Post(base + "/api/live/:id/keep", [this, id_of](const Request& q, Response& a) {
            const Json json = body_of(q);
            const auto name = json.is_object() ? json.find("name") : json.end();
            if (name == json.end() || !name->is_string()) throw Refusal{400, "the request names no folder"};
            send_json(a, {{"path", live.keep(id_of(q), name->get<std::string>()).string()}});
        });
        server.Get(base + "/api/live/:id/maps/:name", [this, id_of](const Request& q, Response& a) {
            send_header(q, a, *live.map(id_of(q), q.path_params.at("name")));
        });
        server.Get(base + "/api/live/:id/maps/:name/nearest", [this, id_of](const Request& q, Response& a) {
            const auto row = number<std::int64_t>(q.get_param_value("row"), "row");
            const int k = how_many(q);
            const std::lock_guard one(searching);
            send_json(a, live.nearest(id_of(q), q.path_params.at("name"), row, k));
        });
        server.Get(base + "/api/live/:id/maps/:name/apart", [this, id_of](const Request& q, Response& a) {
            const auto given = [&q](const char* what) {
                return number<std::int64_t>(q.get_param_value(what), what);
            };
            send_json(a, live.apart(id_of(q), given("token"), number<int>(q.get_param_value("from"), "from"),
                                    given("to"), q.path_params.at("name")));
        });
        server.Get(base + "/api/live/:id/maps/:name/:column", [this, id_of](const Request& q, Response& a) {
            send_column(q, a, *live.map(id_of(q), q.path_params.at("name")));
        });
    }

    void add_guards() {
        server.set_payload_max_length(options.selected ? kLargestSelection : kLargestBody);
        server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
        server.set_default_headers(
            {{"Content-Security-Policy", std::string(kPolicy) + (options.framed ? "" : kNoFrame)},
             {"X-Content-Type-Options", "nosniff"},
             {"Referrer-Policy", "no-referrer"},
             {"Cross-Origin-Resource-Policy", "same-origin"},
             {"Cross-Origin-Opener-Policy", "same-origin"}});
        server.set_pre_routing_handler([this](const Request& request, Response& response) {
            try {
                check_request(options, port, request, response);
                return httplib::Server::HandlerResponse::Unhandled;
            } catch (const Refusal& refusal) {
                send_json(response, {{"error", refusal.line}}, refusal.status);
                return httplib::Server::HandlerResponse::Handled;
            }
        });
        server.set_exception_handler([](const Request&, Response& response, std::exception_ptr error) {
            try {
                std::rethrow_exception(error);
            } catch (const Refusal& refusal) {
                send_json(response, {{"error", refusal.line}}, refusal.status);
            } catch (const Busy& e) {
                send_json(response, {{"error", e.what()}}, 409);
            } catch (const Error& e) {
                send_json(response, {{"error", e.what()}}, 422);
            } catch (const std::bad_alloc&) {
                send_json(response, {{"error", "not enough memory"}}, 503);
            } catch (const std::exception& e) {
                send_json(response, {{"error", e.what()}}, 500);
            }
        });
        server.set_error_handler([](const Request&, Response& response) {
            if (response.body.empty() && response.status >= 400)
                send_json(response, {{"error", line_of(response.status)}}, response.status);
        });
    }
};

ViewServer::ViewServer(Catalog& catalog, const ServeOptions& options)
    : impl_(std::make_unique<Impl>(catalog, options)) {
    const bool asked = !is_loopback(options.host) || options.framed;
    if (asked && options.token.empty()) impl_->options.token = make_token();
    impl_->base = base_path(impl_->options);
    impl_->add_guards();
    impl_->add_routes();
}

ViewServer::~ViewServer() {
    stop();
}

void ViewServer::bind() {
    const ServeOptions& o = impl_->options;
    // Without SO_REUSEPORT, which would let two viewers share a port unseen.
    impl_->server.set_socket_options([](socket_t socket) {
        const int yes = 1;
        ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    const bool bound = o.port == 0 ? (impl_->port = impl_->server.bind_to_any_port(o.host)) > 0
                                   : impl_->server.bind_to_port(o.host, impl_->port = o.port);
    if (!bound)
        throw Error(fmt::format("cannot listen on {}:{}", o.host, o.port),
                    "the port is in use or the address is not this machine's",
                    "choose another --port; 0 takes a free one");
}

int ViewServer::port() const {
    return impl_->port;
}

std::string ViewServer::url() const {
    const ServeOptions& o = impl_->options;
    const bool six = o.host.find(':') != std::string::npos;
    return fmt::format("http://{}{}{}:{}{}/{}", six ? "[" : "", o.host, six ? "]" : "", impl_->port,
                       impl_->base, o.token.empty() || o.framed ? "" : "?token=" + o.token);
}

void ViewServer::run() {
    impl_->server.listen_after_bind();
}
void ViewServer::stop() {
    impl_->server.stop();
}

}  // namespace tomograph
