#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/findings/measure.h"
#include "tomograph/findings/norms.h"
#include "tomograph/findings/separation.h"
#include "tomograph/model/model.h"

namespace tomograph {

struct StudyPlan;

/// What a study reads beside its text.
enum class StudyPart {
    repeat,      ///< one token repeated
    vocabulary,  ///< tokens alone
    positions,   ///< positions alone
    planted,     ///< the text's beginning with a start token in the middle of each sequence
    lens,        ///< what the text's stream would answer, layer by layer, where that is cheap
    twins,       ///< the text once more, by untrained twins
};

struct StudyOptions {
    std::vector<std::filesystem::path> text;  ///< empty: the chapter of Moby-Dick inside the program
    std::int64_t sequences = 32;              ///< at most
    std::int64_t length = 512;
    /// Untrained twins with Gaussian weights, whose spread is one of the findings' controls; where there are
    /// any, one more keeps each matrix's singular values.
    int twins = 5;
    std::vector<StudyPart> parts{StudyPart::repeat,  StudyPart::vocabulary, StudyPart::positions,
                                 StudyPart::planted, StudyPart::lens,       StudyPart::twins};
    /// Of the vocabulary part. 0: all where the model is small (parameters times tokens at most 1e12), else
    /// as many as the text has tokens, at least 512 and at most 4096.
    std::int64_t vocabulary_rows = 0;
    std::uint64_t seed = 42;
    std::optional<Dtype> dtype = {};  ///< of the captured vectors; none: as CaptureOptions says
    /// Keep the vectors of every site that is read. Else those that the study's figures and numbers are of:
    /// not what the norms put out, which is the stream in other units, of positions and of a repeated token
    /// the stream's in the middle layers alone, and of the twins what was measured of them.
    bool all_vectors = false;
    bool force = false;  ///< replace an existing study
    int threads = 0;
    std::string command = {};  ///< how it was asked for, kept in its runs
    /// Told what will be read (plan.h) before the first capture.
    std::function<void(const StudyPlan&)> planned = {};

    bool has(StudyPart part) const { return std::find(parts.begin(), parts.end(), part) != parts.end(); }
};

/// A picture and what it shows.
struct Figure {
    std::string file;     ///< relative to the study's folder
    std::string group;    ///< heading under which the report puts it
    std::string caption;  ///< what to look for, with its numbers
};

struct StudySummary {
    std::vector<std::string> runs;  ///< folders, in order
    std::vector<Figure> figures;
    std::vector<std::string> notes;
    std::vector<std::string> failed;  ///< figures that could not be drawn, with the reason
    /// As study.json has them: the first token's norm, the variance that two components explain, the cosine
    /// of attention and MLP outputs. See summary_lines().
    Json numbers = Json::object();
    MeasureReport measures;  ///< of the text run, against its untrained twins
};

/// The whole experiment on one model: text and what `parts` says: one repeated token, the vocabulary,
/// positions only, and the first sequences of the text once more on each untrained twin; each captured as a
/// run in a folder of its own, projected, drawn and measured; a twin is measured as soon as it is captured,
/// so that its vectors need not stay. Writes DIR/{text,repeat,vocabulary,positions,twin-*}/, DIR/figures/ and
/// DIR/study.json; the report is the caller's (study/report.h, serve/report.h). Errors: Error as capture()'s;
/// Stopped. What was complete stays, unless it is the first capture that failed.
StudySummary make_study(const Model& model, const std::filesystem::path& out, const StudyOptions& options,
                        Progress& progress);

}  // namespace tomograph
