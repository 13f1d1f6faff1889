// The hops that routes lead through, each once: a million routes have few.
#pragma once

#include "classifier/arena.hh"
#include "pipeline/rewrite.hh"

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace weft {

/// The writer's, but for what lies at first(): workers read a hop there while a rule that they may
/// see has its number.
class Hops {
public:
    static constexpr std::size_t hops_max = 65'536;

    Hops();
    /// The hop's number, which stays its own until as many give_back(). Nothing where hops_max
    /// others are in use.
    std::optional<std::uint16_t> take(const Hop& hop);
    void give_back(std::uint16_t number);
    /// By number.
    const Hop* first() const noexcept { return first_; }

private:
    struct Hash {
        std::size_t operator()(const Hop& hop) const noexcept;
    };
    struct Known {
        std::uint16_t number;
        std::uint64_t users;
    };

    std::unique_ptr<void, LinesDeleter> memory_; // real as far as hops have been
    Hop* first_;
    std::unordered_map<Hop, Known, Hash> known_;
    std::vector<std::uint16_t> free_;
    std::size_t used_ = 0; // numbers that were ever given
};

} // namespace weft
