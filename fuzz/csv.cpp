// The labels beside an imported matrix.
#include "tomograph/exchange/csv.h"

#include "fuzz.h"
#include "tomograph/exchange/import.h"
#include "tomograph/exchange/npy.h"
#include "tomograph/store/run.h"

namespace tomograph::fuzz {
namespace {

const test::TempFolder& folder() {
    static const test::TempFolder folder;
    return folder;
}

}  // namespace

std::vector<std::string> good_inputs() {
    return {"label,sequence,position,token\na,0,0,x\nb,0,1,\"y,\"\"z\"\n,1,0,\xff\n",
            "token,other\r\nx,1\r\ny,2\r\n\"a\nb\",3\r\n", "sequence\n0\n0\n1\n"};
}

std::string parse(const std::string& input) {
    static const auto matrix = [] {
        const std::vector<float> values{1, 2, 3, 4, 5, 6};
        NpyWriter writer(folder() / "x.npy", {3, 2});
        writer.write(values.data(), values.size());
        writer.finish();
        return folder() / "x.npy";
    }();
    const auto path = folder().write("labels.csv", input);
    return without(folder().path(), answer([&] {
                       import_vectors({.files = {matrix}, .labels = path, .force = true}, folder() / "run",
                                      no_progress());
                       (void)Run::open(folder() / "run").pieces();
                   }));
}

}  // namespace tomograph::fuzz
