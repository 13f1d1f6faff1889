// The ports of a bridge in the order of their numbers.
#pragma once

#include "base/ids.hh"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace weft {

/// A plain value; copies share pieces, which never change, and a change makes one or two of them
/// anew beside the list of pieces: 2 KiB and 24 bytes for each 64 to 128 ports, whatever they are.
///
/// Invariants: (1) numbers ascend within pieces and from piece to piece; (2) no piece is empty.
/// One thread changes and copies lists, any number of them read one that does not change.
class PortList {
public:
    /// In the place of the port that had the number, if one had it.
    void set(PortNumber number, PortId port);
    void erase(PortNumber number);

    /// PortId::none where no port has the number.
    PortId find(PortNumber number) const noexcept;
    /// The first port at `place` or behind it, and in `place` where the next one may be;
    /// PortId::none at the end. A list begins at place 0; places are its own.
    PortId next(std::uint32_t& place) const noexcept;

private:
    static constexpr std::uint32_t piece_max = 128;
    struct Item {
        PortNumber number{};
        PortId port{};
    };
    struct Piece {
        std::uint32_t count = 0;
        std::array<Item, piece_max> item;

        Item* begin() noexcept { return item.data(); }
        Item* end() noexcept { return item.data() + count; }
        const Item* begin() const noexcept { return item.data(); }
        const Item* end() const noexcept { return item.data() + count; }
    };
    struct Head {
        PortNumber first{};
        std::shared_ptr<const Piece> piece;
    };

    std::size_t piece_of(PortNumber number) const noexcept;
    void replace(std::size_t at, const Piece& by);

    std::vector<Head> heads_;
};

} // namespace weft
