#include "tomograph/statistics/label_share.h"

#include "tomograph/statistics/clouds.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

/// Of each class, the sum and the number of its rows; of all, the sum of squared norms.
struct LabelShare::Sums {
    MatrixD sum;    // [n_labels, d]
    VectorD count;  // [n_labels]
    double squares = 0;

    void add(const Sums& other, double times) {
        sum += times * other.sum;
        count += times * other.count;
        squares += times * other.squares;
    }
    double share() const {
        const double n = count.sum();
        double between = 0, classes = 0;
        for (Eigen::Index c = 0; c < count.size(); ++c) {
            if (count[c] < 1) continue;
            between += sum.row(c).squaredNorm() / count[c];
            ++classes;
        }
        if (n - classes < 1) return kNoNumber;
        const double total = squares - sum.colwise().sum().squaredNorm() / n;
        if (!(total > 1e-9 * squares)) return kNoNumber;
        return 1 - (squares - between) / total * (n - 1) / (n - classes);
    }
};

LabelShare::LabelShare(const Matrix& rows, std::span<const std::int32_t> group, int n_groups)
    : unit_(unit_rows(rows)), rows_of_(static_cast<std::size_t>(n_groups)) {
    for (std::size_t i = 0; i < group.size(); ++i)
        rows_of_[static_cast<std::size_t>(group[i])].push_back(static_cast<Eigen::Index>(i));
}

LabelShare::Sums LabelShare::sums(std::span<const std::int32_t> labels, int n_labels, int of_group) const {
    Sums sums{MatrixD::Zero(n_labels, unit_.cols()), VectorD::Zero(n_labels)};
    for (const Eigen::Index i : rows_of_[static_cast<std::size_t>(of_group)]) {
        const auto label = labels[static_cast<std::size_t>(i)];
        const Eigen::RowVectorXd row = unit_.row(i).cast<double>();
        sums.sum.row(label) += row;
        sums.count[label] += 1;
        sums.squares += row.squaredNorm();
    }
    return sums;
}

LabelShare::Sums LabelShare::all_sums(std::span<const std::int32_t> labels, int n_labels) const {
    Sums all = sums(labels, n_labels, 0);
    for (std::size_t g = 1; g < rows_of_.size(); ++g) all.add(sums(labels, n_labels, static_cast<int>(g)), 1);
    return all;
}

double LabelShare::value(std::span<const std::int32_t> labels, int n_labels) const {
    return all_sums(labels, n_labels).share();
}

std::vector<double> LabelShare::left_out(std::span<const std::int32_t> labels, int n_labels) const {
    const Sums all = all_sums(labels, n_labels);
    std::vector<double> values;
    for (std::size_t g = 0; g < rows_of_.size(); ++g) {
        // Its own sums again: those of all groups at once would be as many times as large.
        Sums rest = all;
        rest.add(sums(labels, n_labels, static_cast<int>(g)), -1);
        values.push_back(rest.share());
    }
    return values;
}

}  // namespace tomograph
