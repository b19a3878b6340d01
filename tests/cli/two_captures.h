#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/open_run.h"
#include "support/program.h"

namespace tomograph::test {

/// A short capture of everything, with further arguments. Keys and values in float16 would round what differs
/// in the last bit of float32.
inline Arguments capture_to(const std::string& model, const std::string& out, const Arguments& more) {
    Arguments arguments{"capture", model,     "--out", out,         "--exact", "--sequences", "4", "--length",
                        "16",      "--dtype", "f32",   "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

/// Largest distance of a row over its length, of all sites.
inline double largest_difference(const Run& run, const Run& other) {
    double largest = 0;
    EXPECT_EQ(run.sites().size(), other.sites().size());
    for (const SiteShape& site : run.sites()) {
        Matrix rows(run.n_rows(), site.width()), others(other.n_rows(), site.width());
        run.read_rows(site.site, 0, run.n_rows(), rows.data());
        other.read_rows(site.site, 0, other.n_rows(), others.data());
        for (Eigen::Index i = 0; i < rows.rows(); ++i) {
            const double norm = rows.row(i).cast<double>().norm();
            const double apart = (rows.row(i) - others.row(i)).cast<double>().norm();
            largest = std::max(largest, apart / std::max(norm, 1e-12));
        }
    }
    return largest;
}

}  // namespace tomograph::test
