#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tomograph/serve/catalog.h"
#include "tomograph/serve/jobs.h"
#include "tomograph/serve/live.h"

namespace tomograph {

/// Points of a projection that somebody has selected in the page.
struct PageSelection {
    std::size_t run = 0;  ///< which of those that are shown
    std::string projection, version;
    std::vector<std::int64_t> rows = {};  ///< ascending
};

struct ServeOptions {
    /// Address to bind to. Anything but this machine's own needs the token in the page's URL. Default
    /// 127.0.0.1.
    std::string host = "127.0.0.1";
    /// 0: a free one.
    int port = 0;
    /// Only those who know it are served. Empty: on loopback nobody is asked; elsewhere one is made up.
    std::string token;
    /// May other pages show this one in a frame of theirs? A notebook's cell does. The page's path is then
    /// the token, for which one is made up where there is none. Default false.
    bool framed = false;
    /// Told what is selected in the page whenever that changes, from any thread. Empty: the page tells
    /// nobody.
    std::function<void(PageSelection)> selected = {};
    JobLimits limits;
    /// Reads what is typed into the page; must outlive the server. Null: there is no line to type in.
    LiveReader* reader = nullptr;
};

/// The viewer's page and its data over HTTP.
///
///     GET    /  /viewer.js  /viewer.css          the page
///     GET    /api/manifest                       what there is to see
///     GET    /api/runs/R/tokens                  header of the token columns; /tokens/COLUMN: raw numbers
///     GET    /api/runs/R/vocabulary              [[token id, text], ...]
///     GET    /api/runs/R/norms/COMPONENT         f32 [n_layers, length]
///     GET    /api/runs/R/projections/NAME        header; /COLUMN: raw numbers. NAME@COMPONENTS@LAYERS: other
///     rows
///                                                on the axes of NAME (OtherRows)
///     GET    /api/runs/R/projections/NAME/nearest?row=I&k=K
///     POST   /api/runs/R/projections/NAME/selection   a bit a point, where somebody wants to know
///     GET    /api/counterpart/NAME               header; /COLUMN: the second run in the first one's basis
///     GET    /api/figures/FILE                   a figure of the study
///     POST   /api/jobs   GET, DELETE /api/jobs/ID   projections to be made
///     POST   /api/live   GET, DELETE /api/live/ID   prompts to be read, where a model is given
///     GET    /api/live/ID/maps/NAME              header; /COLUMN: the prompt on a map
///     GET    /api/live/ID/maps/NAME/nearest?row=I&k=K
///     GET    /api/live/ID/maps/NAME/apart?token=T&from=OTHER&to=U   two prompts' tokens by layer
///     GET    /api/live/ID/words?token=T          what each layer would say next
///     POST   /api/directions                     from one group of a map's points to another
///     GET    /api/live/ID/effect                 what a prompt's steering does to the next word
///     POST   /api/live/ID/keep                   as a run beside the study
///
/// Columns answer range requests and carry strong ETags. Errors are JSON: {"error": "..."}.
/// Requests whose Host is not this server's are refused, there are no CORS headers, and the
/// Content-Security-Policy allows no inline script.
class ViewServer {
  public:
    ViewServer(Catalog& catalog, const ServeOptions& options);
    ~ViewServer();
    /// Take the port. Errors: Error when it is in use or may not be had.
    void bind();
    int port() const;
    /// What to open, token included.
    std::string url() const;
    /// Serve until stop(); call bind() first.
    void run();
    void stop();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tomograph
