// Each finding on a run in which it was planted, and on white noise.
#include <numbers>

#include "planted.h"
#include "support/temp_folder.h"
#include "tomograph/findings/list.h"

namespace tomograph {
namespace {

using test::finding;
using test::kDim;
using test::kSmall;
using test::layer_of;
using test::measured;
using test::noise;
using test::RunSketch;
using test::told;
using test::white_run;

bool is(const std::string& site, const char* component) {
    return site.ends_with(std::string(".") + component);
}

/// What the run is planted with, and what must then hold.
struct Planted {
    const char* name;
    std::function<Vector(const RunSketch& sketch, const std::string& site, std::int64_t token)> values;
    double lo, hi;  ///< the effect lies between
    int n_layers = 6;
};

Vector unit(Eigen::Index coordinate, double length) {
    Vector values = Vector::Zero(kDim);
    values[coordinate] = static_cast<float>(length);
    return values;
}

double position_of(const RunSketch& sketch, std::int64_t token) {
    return sketch.place(token).first;
}

const std::vector<Planted>& planted() {
    static const std::vector<Planted> list{
        {"attn_mlp_separation",
         [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
             const double side = is(site, "attn_out") ? 4 : is(site, "mlp_out") ? -4 : 0;
             return noise(site, token) + unit(0, side);
         },
         0.3, 1},
        {"attn_mlp_direction",
         [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
             const double side = is(site, "attn_out") ? 1.5 : is(site, "mlp_out") ? -1.5 : 0;
             return noise(site, token) + unit(layer_of(site), 3) + unit(15, side);
         },
         0.8, 1},
        {"attn_mlp_overlap",
         [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
             Vector values = noise(site, token);
             if (is(site, "attn_out")) values.tail(kDim / 2) *= 0.01f;
             if (is(site, "mlp_out")) values.head(kDim / 2) *= 0.01f;
             return values;
         },
         0, 0.05},
        {"separation_by_depth",
         [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
             const double side = is(site, "attn_out") ? 4 : is(site, "mlp_out") ? -4 : 0;
             return noise(site, token) + unit(0, layer_of(site) >= 4 ? side : 0);
         },
         0.4, 1, 12},
        {"first_token_norm",
         [](const RunSketch& sketch, const std::string& site, std::int64_t token) -> Vector {
             return noise(site, token) * (position_of(sketch, token) == 0 ? 20.0f : 1.0f);
         },
         15, 25},
        {"massive_activations",
         [](const RunSketch& sketch, const std::string& site, std::int64_t token) -> Vector {
             Vector values = noise(site, token);
             if (position_of(sketch, token) == 0) values[3] = 300;
             return values;
         },
         400, 500},
        {"rogue_dimensions",
         [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
             Vector values = noise(site, token);
             values[3] *= 12;
             return values;
         },
         0.85, 0.95},
        {"anisotropy",
         [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
             return noise(site, token) + unit(1, 4);
         },
         0.4, 0.6},
        {"intrinsic_dimension",  // two angles, drawn on four circles each
         [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
             const Vector seeds = noise(site, token);
             Vector values = Vector::Zero(kDim);
             for (int k = 0; k < 4; ++k) {
                 for (int angle = 0; angle < 2; ++angle) {
                     values[4 * k + 2 * angle] = std::cos((k + 1) * seeds[angle]);
                     values[4 * k + 2 * angle + 1] = std::sin((k + 1) * seeds[angle]);
                 }
             }
             return values;
         },
         1.5, 2.6},
        {"position_share",
         [](const RunSketch& sketch, const std::string& site, std::int64_t token) -> Vector {
             return noise(site, token) + 2 * noise("table", sketch.place(token).first);
         },
         0.6, 0.95},
        {"position_lattice",  // four rows of eight
         [](const RunSketch& sketch, const std::string& site, std::int64_t token) -> Vector {
             const int p = sketch.place(token).first - 1;
             return 0.02f * noise(site, token) + unit(0, p % 8 - 3.5) + unit(1, 2 * (p / 8) - 3) +
                    unit(2, 20);
         },
         0.5, 1},
        {"layer_paths",
         [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
             return noise("base", token) + 0.5f * noise(site, token) + unit(0, 3 * layer_of(site));
         },
         0.6, 1},
        {"spread_tighten",
         [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
             const bool end = layer_of(site) == 0 || layer_of(site) == 11;
             return unit(0, 4) + (end ? 0.2f : 1.0f) * noise(site, token);
         },
         1, 1.7, 12},
        {"layer_cka",
         [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
             Vector sum = noise("base", token);
             for (int layer = 0; layer <= layer_of(site); ++layer) sum += noise(std::to_string(layer), token);
             return sum;
         },
         0.05, 1, 8}};
    return list;
}

class PlantedFinding : public testing::TestWithParam<Planted> {};
INSTANTIATE_TEST_SUITE_P(All, PlantedFinding, testing::ValuesIn(planted()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(PlantedFinding, Holds) {
    RunSketch sketch = white_run();
    const Planted& what = GetParam();
    sketch.n_layers = what.n_layers;
    sketch.sites = test::block_sites(test::layers_to(what.n_layers), {"attn_out", "mlp_out", "resid_post"});
    sketch.value_of = [&](const std::string& site, std::int64_t token) {
        return what.values(sketch, site, token);
    };
    const MeasureReport report = measured(sketch);
    const Finding& found = finding(report, what.name);
    EXPECT_EQ(found.verdict, Verdict::holds) << told(found);
    EXPECT_GE(found.effect, what.lo);
    EXPECT_LE(found.effect, what.hi);
}

TEST(WhiteNoise, HoldsNothing) {
    for (const Finding& one : measured(white_run()).findings)
        EXPECT_NE(one.verdict, Verdict::holds) << told(one);
}

MeasureReport planted_report(
    const std::function<Vector(const RunSketch& sketch, const std::string& site, std::int64_t token)>& values,
    int n_layers = 6) {
    RunSketch sketch = white_run();
    sketch.n_layers = n_layers;
    sketch.sites = test::block_sites(test::layers_to(n_layers), {"attn_out", "mlp_out", "resid_post"});
    sketch.value_of = [&](const std::string& site, std::int64_t token) {
        return values(sketch, site, token);
    };
    return measured(sketch);
}

double detail(const Finding& finding, const std::string& pointer) {
    return finding.detail.at(Json::json_pointer(pointer)).get<double>();
}

TEST(AttentionAgainstMlp, RandomDirectionsAreNoOverlapAndNoOrthogonality) {
    const Finding found = finding(measured(white_run()), "attn_mlp_overlap");
    EXPECT_NEAR(found.effect, 1, 0.1);
    EXPECT_NE(found.reason.find("as random directions do"), std::string::npos) << told(found);
    EXPECT_NEAR(detail(found, "/same_directions"), 1, 0.05) << "white clouds fill all dimensions alike";
    EXPECT_NEAR(detail(found, "/cosine_rms/ratio"), 1, 0.1);
}

TEST(AttentionAgainstMlp, TheSameDirectionsAndTheSameTokensAreSeen) {
    const auto report = planted_report([](const RunSketch&, const std::string& site, std::int64_t token) {
        Vector values = noise("both", token) + 0.3f * noise(site, token);
        values.tail(kDim - 4) *= 0.05f;
        return values;
    });
    const Finding& found = finding(report, "attn_mlp_overlap");
    EXPECT_NE(found.verdict, Verdict::holds) << told(found);
    EXPECT_GT(found.effect, 3);
    EXPECT_NEAR(found.effect, detail(found, "/same_directions"), 0.3);
    EXPECT_GT(detail(found, "/cosine_rms/ratio"), 1.5);
    EXPECT_GT(detail(found, "/cosine_rms/ratio_interval/0"), 1.4);
}

TEST(AttentionAgainstMlp, ADirectionOfEachLayersOwnIsNotOneDirection) {
    const auto report =
        planted_report([](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
            const double side = is(site, "attn_out") ? 4 : is(site, "mlp_out") ? -4 : 0;
            return noise(site, token) + unit(layer_of(site), side);
        });
    EXPECT_EQ(finding(report, "attn_mlp_separation").verdict, Verdict::holds) << "each layer is apart";
    const Finding& found = finding(report, "attn_mlp_direction");
    EXPECT_NE(found.verdict, Verdict::holds) << told(found);
    EXPECT_NEAR(detail(found, "/eta2/component"), detail(found, "/eta2/interaction") / 3, 0.02)
        << "of four layers";
    EXPECT_NEAR(detail(found, "/eta2/layer"), 0, 0.01);
}

TEST(AttentionAgainstMlp, ApartInEveryLayerIsNotFromTheMiddleOn) {
    const auto report = planted_report(
        [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
            return noise(site, token) + unit(0, is(site, "attn_out") ? 4 : is(site, "mlp_out") ? -4 : 0);
        },
        12);
    const Finding& found = finding(report, "separation_by_depth");
    EXPECT_NE(found.verdict, Verdict::holds) << told(found);
    EXPECT_NEAR(found.effect, 0, 0.02);
    EXPECT_EQ(detail(found, "/first_layer_at_half"), 0);
}

TEST(SpreadTighten, SpreadAloneIsHalfOfTheClaim) {
    const auto report = planted_report(
        [](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
            return unit(0, 4) + (layer_of(site) == 0 ? 0.2f : 1.0f) * noise(site, token);
        },
        12);
    const Finding& found = finding(report, "spread_tighten");
    EXPECT_NE(found.verdict, Verdict::holds) << told(found);
    EXPECT_NEAR(found.effect, 0, 0.1);
    EXPECT_GT(detail(found, "/unit_vectors/rise"), 1);
}

TEST(MassiveActivations, AreOfTokensAndRogueDimensionsOfAllOthers) {
    const auto report =
        planted_report([](const RunSketch& sketch, const std::string& site, std::int64_t token) -> Vector {
            Vector values = noise(site, token);
            values[5] *= 6;
            if (position_of(sketch, token) == 0 && layer_of(site) >= 2 && layer_of(site) <= 4)
                values[7] = 2000;
            return values;
        });
    const Finding& tokens = finding(report, "massive_activations");
    EXPECT_EQ(tokens.verdict, Verdict::holds) << told(tokens);
    EXPECT_EQ(tokens.detail.at("massive").at("coordinates").dump(),
              R"([{"coordinate":7,"born":2,"last":4,"layers":3,"tokens":8,"at_first_position":8}])");
    EXPECT_EQ(tokens.detail.at("strongest").at(0).at("position"), 0);
    const Finding& rogue = finding(report, "rogue_dimensions");
    EXPECT_NEAR(rogue.effect, 36.0 / 51, 0.05) << "of ordinary tokens only";
    EXPECT_EQ(detail(rogue, "/coordinates/0/coordinate"), 5);
    EXPECT_EQ(rogue.detail.at("coordinates").size(), 1u);
}

TEST(Anisotropy, SaysWhatIsLeftWithoutRogueCoordinatesAndWithoutTheMean) {
    const auto report =
        planted_report([](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
            return noise(site, token) + unit(1, 4);
        });
    const Finding& found = finding(report, "anisotropy");
    EXPECT_NEAR(detail(found, "/centred"), 0, 0.02);
    EXPECT_NEAR(detail(found, "/without_rogue"), 0, 0.02);
    EXPECT_GT(detail(found, "/rogue_share"), 0.95);
    EXPECT_EQ(detail(found, "/rogue/0/coordinate"), 1);
}

TEST(IntrinsicDimension, HasItsPeakWhereItWasPlanted) {
    const auto report =
        planted_report([](const RunSketch&, const std::string& site, std::int64_t token) -> Vector {
            const Eigen::Index used = layer_of(site) == 3 ? 8 : 2;
            Vector values = noise(site, token);
            values.tail(kDim - used).setZero();
            return values;
        });
    const Finding& found = finding(report, "intrinsic_dimension");
    EXPECT_EQ(detail(found, "/peak/layer"), 3);
    EXPECT_GT(detail(found, "/peak/dimension"), 4);
    EXPECT_NEAR(detail(found, "/peak/first_layer"), 2, 0.5);
    EXPECT_EQ(found.detail.at("peak").at("layers_without_a_sequence").dump(), "[3,3]");
}

TEST(PositionShare, IsZeroInNoiseWhereEtaSquaredIsNot) {
    const Finding found = finding(measured(white_run()), "position_share");
    EXPECT_NEAR(found.effect, 0, 0.02);
    EXPECT_NEAR(detail(found, "/eta2"), 1.0 / 8, 0.03);
    EXPECT_EQ(found.null, 0);
    const Finding planted = finding(
        planted_report([](const RunSketch& sketch, const std::string& site, std::int64_t token) -> Vector {
            return noise(site, token) + noise("table", sketch.place(token).first) +
                   noise("sequence", sketch.place(token).second) + unit(0, 4);
        }),
        "position_share");
    double sum = 0;
    for (const char* part : {"mean", "position", "context", "residual"}) {
        EXPECT_GT(detail(planted, std::string("/split/") + part), 0.1) << part;
        sum += detail(planted, std::string("/split/") + part);
    }
    EXPECT_NEAR(sum, 1, 1e-5);
}

TEST(PositionLattice, NoisyMeansShowNone) {
    const Finding found = finding(measured(white_run()), "position_lattice");
    EXPECT_EQ(found.verdict, Verdict::not_measurable);
    EXPECT_NE(found.reason.find("too noisy for a lattice"), std::string::npos) << found.reason;
}

TEST(RopeShare, HoldsWhereRotationMakesThePositionsAndNotWhereItDoesNot) {
    const test::TempFolder folder;
    RunSketch sketch = white_run();
    sketch.value_of = [&](const std::string& site, std::int64_t token) -> Vector {
        return noise(site, token) + 2 * noise("table", sketch.place(token).first);
    };
    sketch.write(folder / "on");
    sketch.edit = [](Json& run) {
        run["model"]["d_model"] = kDim;
        run["capture"]["rope_off"] = true;
    };
    sketch.write(folder / "same");
    sketch.value_of = [](const std::string& site, std::int64_t token) { return noise(site, token); };
    sketch.write(folder / "off");
    const tomograph::Run on = Run::open(folder / "on"), same = Run::open(folder / "same"),
                         off = Run::open(folder / "off");
    MeasureOptions options = kSmall;
    options.rope_off = &off;
    const MeasureReport gone = measure_run(on, options);
    EXPECT_EQ(finding(gone, "rope_share").verdict, Verdict::holds) << told(finding(gone, "rope_share"));
    EXPECT_NEAR(finding(gone, "rope_share").effect, 1, 0.05);
    options.rope_off = &same;
    const MeasureReport kept = measure_run(on, options);
    EXPECT_EQ(finding(kept, "rope_share").verdict, Verdict::absent) << told(finding(kept, "rope_share"));
}

TEST(Findings, EachControlIsOneThatItsDescriptionNames) {
    const MeasureReport report = measured(white_run());
    std::size_t at = 0;
    for (const FindingKind* kind : finding_kinds()) {
        if (kind->needs != Needs::nothing) continue;
        const Finding& one = report.findings.at(at++);
        EXPECT_EQ(one.name, kind->name);
        std::string named;
        for (const Control& control : one.controls) named += (named.empty() ? "" : ", ") + control.name;
        if (!named.empty()) {
            EXPECT_EQ(named, kind->controls) << kind->name;
        }
        EXPECT_NE(findings_reference().find("`" + one.name + "`"), std::string::npos);
    }
}

TEST(Findings, EachHasAFigure) {
    RunSketch sketch = white_run();
    const MeasureReport report = measured(sketch);
    for (const Finding& one : report.findings) {
        if (one.name == "answer_depth") continue;  // where there is a lens: lens_table_test.cpp
        const auto shows = [&](const Chart& chart) {
            return std::ranges::find(chart.findings, one.name) != chart.findings.end();
        };
        EXPECT_EQ(std::ranges::count_if(report.charts, shows), 1) << one.name;
    }
}

}  // namespace
}  // namespace tomograph
