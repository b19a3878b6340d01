#pragma once
// A run while it is measured, with what several findings share. For use inside findings/ only.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/findings/census.h"
#include "tomograph/findings/chart.h"
#include "tomograph/findings/measure.h"
#include "tomograph/findings/sample.h"

namespace tomograph {

struct PositionNumbers;
struct StreamStack;

class Subject {
  public:
    /// `run`, `options` and `progress` must outlive it.
    Subject(const Run& run, const MeasureOptions& options, bool effects_only, Progress& progress);
    ~Subject();
    Subject(const Subject&) = delete;
    Subject& operator=(const Subject&) = delete;

    const Run& run;
    const MeasureOptions& options;
    Progress& progress;
    const int threads;
    const std::vector<int> layers;    ///< headline layers
    const bool effects_only;          ///< a twin: effects, no intervals, tables or controls
    std::optional<Component> stream;  ///< resid_post, or the nearest to it that has vectors
    RowCensus census;                 ///< of all sites that are read
    std::vector<Site> sites;          ///< of the pass, in network order
    SampleRows sample;

    /// What findings leave besides their effects: tables for measures/, by name; the line of each site in the
    /// table `sites`; and what a reader should know.
    std::map<std::string, Json> tables;
    std::vector<Json> site_lines;  ///< [sites]
    std::vector<std::string> notes;

    BootstrapOptions bootstrap() const {
        return {.replicates = options.bootstrap, .seed = options.seed, .threads = threads};
    }
    /// A layer of the stream that headline numbers average over?
    bool headline(const Site& site) const;
    bool headline_layer(int layer) const;
    /// The headline layers at which a component has vectors.
    std::vector<int> layers_with(Component component) const;
    /// Why nothing that needs this component can be measured, with the flag that captures it; empty: it can.
    std::string lacks(Component component) const;
    std::string lacks_stream() const;
    std::string lacks_rows() const;

    /// Computed when first asked for, once. Not from several threads.
    const PositionNumbers& positions();
    const StreamStack& stack();

    /// A number of each site, [sites], as lines by layer, one a component. Empty ones are left out.
    std::vector<ChartLine> lines_by_layer(const std::vector<double>& values,
                                          const std::vector<Component>& components) const;

  private:
    std::unique_ptr<PositionNumbers> positions_;
    std::unique_ptr<StreamStack> stack_;
};

double mean_of(const std::vector<double>& values);

}  // namespace tomograph
