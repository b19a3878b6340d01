#include "tomograph/exchange/export.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"
#include "tomograph/exchange/npy.h"
#include "tomograph/maps/projection.h"

namespace tomograph {
namespace {

constexpr std::int64_t kBlock = 1024;

/// What is exported: rows with labels, from memory or from disk.
struct Table {
    const RowSource* rows = nullptr;
    const RowLabels* labels = nullptr;
    std::vector<std::int64_t> shape;  // of one row
    const char* column = "v";         // name of a column of numbers
};

class Describer {
  public:
    Describer(const Run& run, const RowLabels& labels) : run_(run), labels_(labels), names_(run.labels()) {}

    /// A control's rows have two layers: the number it gives them, and their own.
    std::vector<std::string> columns() const {
        std::vector<std::string> names{"component", "layer", "position", "sequence",
                                       "token",     "piece", "label",    "norm"};
        if (labels_.renumbered()) names.insert(names.begin() + 2, "true_layer");
        return names;
    }

    /// One row's entries under columns(); empty where a row, being an average, has none.
    std::vector<std::string> operator()(std::int64_t row) const {
        const auto i = static_cast<std::size_t>(row);
        const auto number = [](std::int32_t value) {
            return value < 0 ? std::string() : std::to_string(value);
        };
        const std::int32_t token = labels_.token[i];
        // Pieces and labels may hold anything; escaped, a row is one line to every reader.
        const std::string piece = token < 0 ? "" : printable(run_.pieces()[static_cast<std::size_t>(token)]);
        const std::string id =
            token < 0 ? "" : number(run_.tokens().token_id[static_cast<std::size_t>(token)]);
        const std::int32_t label = labels_.label[i];
        std::vector<std::string> fields{std::string(component_name(labels_.component[i])),
                                        number(labels_.layer[i]),
                                        number(labels_.position[i]),
                                        number(labels_.sequence[i]),
                                        id,
                                        piece,
                                        label < 0 ? "" : printable(names_[static_cast<std::size_t>(label)]),
                                        fmt::format("{:.6g}", labels_.norm[i])};
        if (labels_.renumbered()) fields.insert(fields.begin() + 2, number(labels_.site(row).layer));
        return fields;
    }

  private:
    const Run& run_;
    const RowLabels& labels_;
    std::vector<std::string> names_;
};

/// Call `line(row, values)` for every row.
template <class Line>
void for_each_row(const RowSource& rows, Line line) {
    Matrix block(kBlock, rows.dim());
    for (std::int64_t begin = 0; begin < rows.n_rows(); begin += kBlock) {
        const std::int64_t end = std::min(rows.n_rows(), begin + kBlock);
        rows.read(begin, end, block.data());
        for (std::int64_t row = begin; row < end; ++row) line(row, block.row(row - begin).data());
    }
}

void write_csv(const Table& table, const Describer& describe, const std::filesystem::path& out) {
    AtomicFile file(out);
    std::string text = fmt::format("{}", fmt::join(describe.columns(), ","));
    for (std::int64_t i = 0; i < table.rows->dim(); ++i) text += fmt::format(",{}{}", table.column, i);
    text += "\n";
    for_each_row(*table.rows, [&](std::int64_t row, const float* values) {
        const char* separator = "";
        for (const std::string& field : describe(row)) {
            text += separator + csv_field(field);
            separator = ",";
        }
        for (std::int64_t i = 0; i < table.rows->dim(); ++i) text += fmt::format(",{:.9g}", values[i]);
        text += "\n";
        if (text.size() > (1u << 20)) {
            file.write(text);
            text.clear();
        }
    });
    file.write(text);
    file.commit();
}

void write_npy(const Table& table, const std::filesystem::path& out) {
    std::vector<std::int64_t> shape{table.rows->n_rows()};
    shape.insert(shape.end(), table.shape.begin(), table.shape.end());
    NpyWriter writer(out, shape);
    for_each_row(*table.rows, [&](std::int64_t, const float* values) {
        writer.write(values, static_cast<std::size_t>(table.rows->dim()));
    });
    writer.finish();
}

/// The projector reads no quotes, and other readers of tabs do: \" is a quote to nobody.
std::string without_quotes(const std::string& field) {
    std::string safe;
    for (const char c : field) safe += c == '"' ? "\\\"" : std::string(1, c);
    return safe;
}

void write_projector(const Table& table, const Describer& describe, const std::filesystem::path& out) {
    const auto files = export_files(ExportFormat::projector, out);
    std::error_code error;
    std::filesystem::create_directories(out, error);
    if (error) throw Error("cannot create " + out.string(), error.message(), "");
    AtomicFile tensors(files[0]), metadata(files[1]);
    metadata.write(fmt::format("{}\n", fmt::join(describe.columns(), "\t")));
    for_each_row(*table.rows, [&](std::int64_t row, const float* values) {
        tensors.write(fmt::format("{:.9g}\n", fmt::join(values, values + table.rows->dim(), "\t")));
        std::vector<std::string> fields = describe(row);
        for (std::string& field : fields) field = without_quotes(field);
        metadata.write(fmt::format("{}\n", fmt::join(fields, "\t")));
    });
    tensors.commit();
    metadata.commit();
}

void write_table(const Run& run, const Table& table, ExportFormat format, const std::filesystem::path& out) {
    const Describer describe(run, *table.labels);
    switch (format) {
        case ExportFormat::csv:
            return write_csv(table, describe, out);
        case ExportFormat::npy:
            return write_npy(table, out);
        case ExportFormat::projector:
            return write_projector(table, describe, out);
    }
}

}  // namespace

ExportFormat parse_export_format(const std::string& text) {
    if (text == "csv") return ExportFormat::csv;
    if (text == "npy") return ExportFormat::npy;
    if (text == "projector") return ExportFormat::projector;
    throw Error("no export format '" + text + "'", "", "use csv, npy or projector");
}

std::vector<std::filesystem::path> export_files(ExportFormat format, const std::filesystem::path& out) {
    if (format != ExportFormat::projector) return {out};
    if (out == "-") throw Error("a projector export is two files", "", "name a folder");
    return {out / "tensors.tsv", out / "metadata.tsv"};
}

void export_rows(const Run& run, const std::string& name, ExportFormat format,
                 const std::filesystem::path& out) {
    const auto projections = projection_names(run);
    if (std::find(projections.begin(), projections.end(), name) != projections.end()) {
        const Projection projection = load_projection(run, name);
        const MatrixRows rows(projection.points);
        write_table(run, {&rows, &projection.labels, {projection.points.cols()}, "x"}, format, out);
        return;
    }
    const auto site = parse_site(name);
    if (!site || !run.has_site(*site)) {
        throw Error(fmt::format("{} holds neither a projection nor a site '{}'", run.path().string(), name),
                    projections.empty() ? "it has no projections"
                                        : fmt::format("its projections are {}", fmt::join(projections, ", ")),
                    "see its sites with: tomograph info " + run.path().string());
    }
    Selection selection;
    selection.components = {site->component};
    if (site->layer >= 0) selection.layers = {site->layer, site->layer + 1};
    const SelectedRows rows = select(run, selection);
    write_table(run, {&rows, &rows.labels(), run.site(*site).shape, "v"}, format, out);
}

}  // namespace tomograph
