// A row's rules in the engine, as the writer keeps them.
#pragma once

#include "base/ids.hh"
#include "classifier/tuple_space.hh"
#include "pipeline/program.hh"

#include <cstdint>
#include <memory>
#include <vector>

namespace weft {

/// Made by Tables::insert_rule, gone two grace periods after erase_rule. Workers reach it from its
/// program, for traces only.
class Rule {
public:
    TableId table{};
    std::uint32_t priority = 0;
    CounterId counter = CounterId::none;
    bool owns_counter = true; // false: another version of the same row goes on counting with it
    std::uint16_t shapes = 0; // that its terms ask for
    Generation born = 0;
    std::unique_ptr<const Mask> least; // Lowered::least, where there are several terms
    std::uint64_t match_hash = 0;
    WordMask words = 0; // that its terms read
    ProgramPtr program;
    std::vector<Entry*> entries; // one a pattern
    void* row = nullptr;                       // the caller's own: what the rule was made from
};

} // namespace weft
