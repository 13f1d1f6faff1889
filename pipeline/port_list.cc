#include "pipeline/port_list.hh"

#include <algorithm>

namespace weft {

namespace {

constexpr auto comes_before = [](const auto& item, PortNumber number) {
    return item.number < number;
};

} // namespace

/// Where the number is or belongs: the last piece that does not begin behind it, else the first.
std::size_t PortList::piece_of(PortNumber number) const noexcept {
    const auto behind =
        std::upper_bound(heads_.begin(), heads_.end(), number, [](PortNumber n, const Head& head) {
            return n < head.first;
        });
    return static_cast<std::size_t>(std::max<std::ptrdiff_t>(behind - heads_.begin() - 1, 0));
}

void PortList::replace(std::size_t at, const Piece& by) {
    heads_[at] = {by.item[0].number, std::make_shared<const Piece>(by)};
}

void PortList::set(PortNumber number, PortId port) {
    if (heads_.empty())
        heads_.push_back({number, std::make_shared<const Piece>()});
    const std::size_t at = piece_of(number);
    Piece piece = *heads_[at].piece;
    Item* const place = std::lower_bound(piece.begin(), piece.end(), number, comes_before);
    if (place != piece.end() && place->number == number) {
        place->port = port;
        return replace(at, piece);
    }
    if (piece.count == piece_max) {
        Piece upper;
        upper.count = piece_max / 2;
        std::copy_n(piece.begin() + piece_max / 2, upper.count, upper.begin());
        piece.count = piece_max / 2;
        replace(at, piece);
        heads_.emplace(heads_.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        replace(at + 1, upper);
        return set(number, port);
    }
    std::move_backward(place, piece.end(), piece.end() + 1);
    *place = {number, port};
    ++piece.count;
    replace(at, piece);
}

void PortList::erase(PortNumber number) {
    if (find(number) == PortId::none)
        return;
    const std::size_t at = piece_of(number);
    Piece piece = *heads_[at].piece;
    Item* const place = std::lower_bound(piece.begin(), piece.end(), number, comes_before);
    std::move(place + 1, piece.end(), place);
    --piece.count;
    if (piece.count == 0)
        heads_.erase(heads_.begin() + static_cast<std::ptrdiff_t>(at));
    else
        replace(at, piece);
}

PortId PortList::find(PortNumber number) const noexcept {
    if (heads_.empty())
        return PortId::none;
    const Piece& piece = *heads_[piece_of(number)].piece;
    const Item* const at = std::lower_bound(piece.begin(), piece.end(), number, comes_before);
    return at != piece.end() && at->number == number ? at->port : PortId::none;
}

PortId PortList::next(std::uint32_t& place) const noexcept {
    std::size_t at = place / piece_max;
    std::uint32_t i = place % piece_max;
    if (at < heads_.size() && i >= heads_[at].piece->count) {
        ++at;
        i = 0;
    }
    if (at >= heads_.size())
        return PortId::none;
    place = static_cast<std::uint32_t>(at) * piece_max + i + 1;
    return heads_[at].piece->item[i].port;
}

} // namespace weft
