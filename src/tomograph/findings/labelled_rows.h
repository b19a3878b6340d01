#pragma once
// The sampled rows whose tokens have a label, and labels that know nothing of them. For use inside findings/
// only.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/findings/headline_mean.h"

namespace tomograph {

class Run;
class Subject;

/// Do a run's tokens have two labels or more?
bool has_labels(const Run& run);

/// The labels exchanged at random among the rows of each group. Rows of one group stand together.
std::vector<std::int32_t> shuffled_within(std::vector<std::int32_t> labels,
                                          std::span<const std::int32_t> group, std::uint64_t seed);

struct LabelledRows {
    explicit LabelledRows(const Subject& subject);

    std::vector<Eigen::Index> place;  ///< in the sample, ascending
    std::vector<std::int32_t> label;  ///< of each, from 0 to n_labels - 1
    std::vector<std::int32_t> group;
    std::vector<std::string> names;  ///< [n_labels]
    std::string lacks;               ///< why nothing can be told apart; empty: it can

    int n_labels() const { return static_cast<int>(names.size()); }
    /// Their rows of a site's, divided by their norms.
    Matrix unit(const Matrix& sampled) const;
    /// As shuffled_within().
    std::vector<std::int32_t> shuffled(std::uint64_t seed) const;
    /// Each sequence gets the labels that another one has at the same positions: they say what a position
    /// alone says. Where no other sequence is labelled there, the row keeps its own.
    std::vector<std::int32_t> of_another_sequence(std::uint64_t seed) const;

  private:
    std::vector<std::int32_t> position_, sequence_;
    std::vector<std::vector<std::int32_t>> by_position_;  // of each sequence; -1: none
};

/// What labels show at each site, beside what labels show there that know nothing of the rows.
struct LabelledLayers {
    explicit LabelledLayers(Subject& subject);

    Subject& subject;
    LabelledRows rows;
    std::vector<HeadlineMean::Layer> layers;  ///< [sites]
    std::vector<double> of_others;            ///< [sites] what labels of other sequences reach; NaN: unknown

    /// Of a site: what shuffled labels and those of other sequences reached, a number a draw.
    void control(std::size_t site, std::vector<double> shuffled, std::vector<double> others);
    /// The mean over the middle layers of the stream, with both controls; unmeasurable where labels or the
    /// stream lack.
    Effect effect() const;
    /// A row a site, under the names `what`, "interval", `what`_shuffled and `what`_other_sequences.
    void add_table(const char* table, const std::string& what) const;
};

}  // namespace tomograph
