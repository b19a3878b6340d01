#include "tomograph/model/unwritable.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tomograph {
namespace {

using Op = GraphNode::Op;

/// Graphs of a few nodes, of which one is a site.
class Unwritable : public testing::Test {
  protected:
    std::vector<GraphNode> nodes_;
    std::vector<SiteNode> sites_;

    int node(Op op, const std::string& name, const std::vector<int>& sources) {
        GraphNode made{op, name, {}};
        for (const int source : sources) {
            made.sources.push_back(source < 0 ? GraphNode::Source{-1, "w.weight", true}
                                              : GraphNode::Source{source, "", false});
        }
        nodes_.push_back(made);
        return static_cast<int>(nodes_.size()) - 1;
    }
    SiteNode site(Component component, int at) {
        sites_.push_back({{component, 0}, at, {8}});
        return sites_.back();
    }
    std::string why(const SiteNode& of) const { return unwritable(nodes_, sites_, of); }
};

TEST_F(Unwritable, IsNotANodeOfItsOwn) {
    const int value = node(Op::mul_mat, "value", {-1});
    node(Op::add, "sum", {value, -1});
    EXPECT_EQ(why(site(Component::attn_out, value)), "");
}

TEST_F(Unwritable, IsNotTheBatchsOwnInput) {
    EXPECT_EQ(why(site(Component::embed, -1)), "");
}

TEST_F(Unwritable, IsNotAViewThatAloneShowsItsMemory) {
    const int heads = node(Op::attention, "heads", {-1});
    const int flat = node(Op::view, "flat", {heads});
    node(Op::mul_mat, "out", {-1, flat});
    EXPECT_EQ(why(site(Component::z, flat)), "");
}

TEST_F(Unwritable, IsAViewOfWhatWasReadBefore) {
    const int heads = node(Op::attention, "heads", {-1});
    node(Op::norm, "early", {heads});
    const int flat = node(Op::view, "flat", {heads});
    EXPECT_EQ(why(site(Component::z, flat)), "'early' has read it before");
}

TEST_F(Unwritable, IsAViewOfWhatWasReadBeforeThroughAnother) {
    const int heads = node(Op::attention, "heads", {-1});
    const int other = node(Op::view, "other", {heads});
    node(Op::copy, "early", {other});
    const int flat = node(Op::view, "flat", {heads});
    EXPECT_EQ(why(site(Component::z, flat)), "'early' has read it before");
}

TEST_F(Unwritable, IsAViewOfAnotherSite) {
    const int value = node(Op::mul_mat, "value", {-1});
    const int shown = node(Op::view, "shown", {value});
    site(Component::attn_out, value);
    EXPECT_EQ(why(site(Component::z, shown)), "it shares its memory with blocks.0.attn_out");
}

TEST_F(Unwritable, IsAViewOfAWeight) {
    const int shown = node(Op::view, "shown", {-1});
    EXPECT_EQ(why(site(Component::pos_embed, shown)),
              "it is a view of 'w.weight', which the model does not compute");
}

}  // namespace
}  // namespace tomograph
