#include "pipeline/hops.hh"

#include "base/check.hh"
#include "base/hash.hh"

namespace weft {

namespace {

constexpr std::size_t memory_lines = Hops::hops_max * sizeof(Hop) / cache_line;

} // namespace

Hops::Hops()
    : memory_{take_lines(memory_lines), {memory_lines}},
      first_{static_cast<Hop*>(memory_.get())} {}

std::size_t Hops::Hash::operator()(const Hop& hop) const noexcept {
    WordHash hash{index(hop.port) << 1 | hop.decrements_ttl};
    hash.add(hop.keep_head);
    hash.add(hop.head);
    hash.add(std::uint64_t{hop.keep_tail} << 32 | hop.tail);
    return hash.value();
}

std::optional<std::uint16_t> Hops::take(const Hop& hop) {
    if (const auto at = known_.find(hop); at != known_.end()) {
        ++at->second.users;
        return at->second.number;
    }
    std::uint16_t number;
    if (!free_.empty()) {
        number = free_.back();
        free_.pop_back();
    } else if (used_ < hops_max) {
        number = static_cast<std::uint16_t>(used_++);
    } else {
        return std::nullopt;
    }
    first_[number] = hop;
    known_.emplace(hop, Known{number, 1});
    return number;
}

void Hops::give_back(std::uint16_t number) {
    const auto at = known_.find(first_[number]);
    check(at != known_.end() && at->second.number == number);
    if (--at->second.users != 0)
        return;
    known_.erase(at);
    free_.push_back(number);
}

} // namespace weft
