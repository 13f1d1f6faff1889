#include "classifier/prefix_part.hh"

#include "base/check.hh"
#include "base/hash.hh"

#include <algorithm>
#include <utility>

namespace weft {

namespace {

bool any_order(const Entry&, const Entry&) {
    return false;
}

/// The bits of the words that hold an address, of a prefix of so many bits.
U128 prefix_mask(unsigned bits, unsigned length) noexcept {
    return low_bits(bits) & ~low_bits(bits - length);
}

template <class Visit>
void for_each_address_word(const PrefixKind& kind, U128 of, Visit&& visit) {
    if (kind.wide && of.high != 0)
        visit(kind.word, of.high);
    if (of.low != 0)
        visit(static_cast<std::uint8_t>(kind.word + (kind.wide ? 1 : 0)), of.low);
}

} // namespace

Mask PrefixKind::mask(unsigned length) const noexcept {
    const PrefixRule rule{.others = {}, .prefix = {}, .length = length};
    return pattern_of(*this, rule).mask;
}

Pattern pattern_of(const PrefixKind& kind, const PrefixRule& rule) noexcept {
    Pattern pattern;
    std::size_t i = 0;
    const auto others_before = [&](std::uint8_t word) {
        for (; i < kind.others.count && kind.others.word[i] < word; ++i)
            pattern.add(kind.others.word[i], kind.others.bits[i], rule.others[i]);
    };
    const U128 mask = prefix_mask(kind.bits(), rule.length);
    for_each_address_word(kind, mask, [&](std::uint8_t word, std::uint64_t bits) {
        others_before(word);
        pattern.add(
            word, bits, kind.wide && word == kind.word ? rule.prefix.high : rule.prefix.low
        );
    });
    others_before(key_words);
    return pattern;
}

PrefixPart::PrefixPart(
    const PrefixKind& kind, Tries& tries, Reclaimer& reclaimer, std::uint64_t hash_key
)
    : ranks{kind.others.bit_count()},
      kind_{kind},
      tries_{tries},
      reclaimer_{reclaimer},
      directory_{reclaimer, hash_key, any_order},
      vrfs_{0, HashOthers{hash_key}} {
    check(kind.others.count <= PrefixKind::others_max);
    std::copy_n(kind.others.word.begin(), kind.others.count, other_word_.begin());
    std::copy_n(kind.others.bits.begin(), kind.others.count, other_bits_.begin());
}

PrefixPart::~PrefixPart() {
    for (auto& [others, vrf] : vrfs_)
        if (kind_.wide)
            tries_.wide.clear(vrf->next_);
        else
            tries_.narrow.clear(vrf->next_);
}

// -- the writer

std::size_t PrefixPart::HashOthers::operator()(const Others& others) const noexcept {
    WordHash hash{key};
    for (const std::uint64_t value : others)
        hash.add(value);
    return hash.value();
}

PrefixPart::Vrf& PrefixPart::enter(const Others& others) {
    auto& vrf = vrfs_[others];
    if (vrf == nullptr) {
        vrf = std::make_unique<Vrf>();
        vrf->others_ = others;
        Pattern pattern;
        for (std::size_t i = 0; i < kind_.others.count; ++i)
            pattern.add(kind_.others.word[i], kind_.others.bits[i], others[i]);
        vrf->entry_ = directory_.insert(pattern, 0, 0, reinterpret_cast<Payload>(vrf.get()));
        note_only();
    }
    ++vrf->users_;
    return *vrf;
}

void PrefixPart::leave(Vrf& vrf) {
    if (--vrf.users_ != 0)
        return;
    check(!vrf.touched_);
    directory_.remove(*vrf.entry_);
    const auto at = vrfs_.find(vrf.others_);
    reclaimer_.retire([dead = std::shared_ptr<Vrf>{std::move(at->second)}] {});
    vrfs_.erase(at);
    note_only();
}

/// Between one and several a reader may go either way: both find every Vrf.
void PrefixPart::note_only() noexcept {
    only_.store(
        vrfs_.size() == 1 ? vrfs_.begin()->second.get() : nullptr, std::memory_order_release
    );
}

bool PrefixPart::set(Vrf& vrf, U128 prefix, unsigned length, Payload payload) {
    const auto put = [&](auto& trie, auto address) {
        return trie.find(vrf.next_, address, length) == 0 &&
               trie.set(vrf.next_, address, length, payload) == LpmChange::done;
    };
    const bool done = kind_.wide ? put(tries_.wide, prefix)
                                 : put(tries_.narrow, static_cast<std::uint32_t>(prefix.low));
    if (done && !std::exchange(vrf.touched_, true))
        touched_.push_back(&vrf);
    return done;
}

void PrefixPart::erase(Vrf& vrf, U128 prefix, unsigned length) {
    const LpmChange change =
        kind_.wide ? tries_.wide.erase(vrf.next_, prefix, length)
                   : tries_.narrow.erase(vrf.next_, static_cast<std::uint32_t>(prefix.low), length);
    check(change == LpmChange::done);
    if (!std::exchange(vrf.touched_, true))
        touched_.push_back(&vrf);
}

void PrefixPart::publish(Generation born) {
    for (Vrf* vrf : touched_) {
        vrf->touched_ = false;
        const Version* older = vrf->newest_.load(std::memory_order_relaxed);
        vrf->newest_.store(new Version{born, vrf->next_, older}, std::memory_order_release);
        if (older != nullptr) // who sees the new one never looks further
            reclaimer_.retire([older] { delete older; });
    }
    touched_.clear();
}

// -- readers

/// Lanes whose other words choose this one.
LaneMask PrefixPart::lanes_of(const Vrf& vrf, const FlowKey* keys, LaneMask live) const noexcept {
    LaneMask chosen = 0;
    const std::size_t word = other_word_[0]; // which mostly is all that there is
    const std::uint64_t bits = other_bits_[0], value = vrf.others_[0];
    for_lanes(live, [&](std::size_t lane) {
        chosen |= LaneMask{(keys[lane].word[word] & bits) == value} << lane;
    });
    for (std::size_t i = 1; i < kind_.others.count; ++i)
        for (const std::size_t lane : Lanes{chosen})
            if ((keys[lane].word[other_word_[i]] & other_bits_[i]) != vrf.others_[i])
                chosen &= ~lane_bit(lane);
    return chosen;
}

LaneMask
PrefixPart::choose(const FlowKey* keys, LaneMask live, Generation g, LpmRoot* root) const noexcept {
    LaneMask chosen = 0;
    std::array<const Entry*, burst_max> found;
    directory_.lookup(keys, live, g, found.data());
    const auto vrf = [&](std::size_t lane) {
        return reinterpret_cast<const Vrf*>(found[lane]->payload);
    };
    for (const std::size_t lane : Lanes{live})
        if (found[lane] != nullptr)
            __builtin_prefetch(vrf(lane));
    for (const std::size_t lane : Lanes{live}) {
        if (found[lane] == nullptr)
            continue;
        root[lane] = vrf(lane)->root_at(g);
        chosen |= lane_bit(lane);
    }
    return chosen;
}

LaneMask PrefixPart::lookup(const FlowKey* keys, LaneMask live, Generation g, Payload* found)
    const noexcept {
    if (const Vrf* only = only_.load(std::memory_order_acquire); only != nullptr)
        return look_up(keys, lanes_of(*only, keys, live), only->root_at(g), found);
    std::array<LpmRoot, burst_max> root;
    const LaneMask here = choose(keys, live, g, root.data());
    return look_up(keys, here, static_cast<const LpmRoot*>(root.data()), found);
}

/// `root`: of all lanes, or of each.
template <class Roots>
LaneMask PrefixPart::look_up(const FlowKey* keys, LaneMask here, const Roots& root, Payload* found)
    const noexcept {
    if (here == 0)
        return 0;
    const std::size_t word = kind_.word;
    if (kind_.wide) {
        std::array<U128, burst_max> address;
        for_lanes(here, [&](std::size_t lane) {
            address[lane] = {keys[lane].word[word], keys[lane].word[word + 1]};
        });
        return tries_.wide.lookup(root, address.data(), here, found);
    }
    std::array<std::uint32_t, burst_max> address;
    for_lanes(here, [&](std::size_t lane) {
        address[lane] = static_cast<std::uint32_t>(keys[lane].word[word]);
    });
    return tries_.narrow.lookup(root, address.data(), here, found);
}

// -- seeing inside

PrefixPart::Bound PrefixPart::bound() const {
    Bound bound;
    for (const auto& [others, vrf] : vrfs_)
        bound.nodes = std::max<std::uint64_t>(
            bound.nodes,
            kind_.wide ? tries_.wide.nodes_max(vrf->next_) : tries_.narrow.nodes_max(vrf->next_)
        );
    // A Vrf and its version, and what Lpm::lines_max() says.
    bound.lines = 2 + (bound.nodes == 0 ? 0 : 2 * bound.nodes + 1);
    if (vrfs_.size() > 1) {
        const TupleSpace::Bound choice = directory_.bound();
        bound.probes = choice.probes;
        bound.entries = choice.entries;
        bound.lines += choice.lines;
    }
    return bound;
}

std::uint64_t PrefixPart::memory_bytes() const noexcept {
    constexpr std::size_t of_map = 4 * sizeof(void*) + sizeof(Others);
    return sizeof *this + directory_.memory_bytes() +
           vrfs_.size() * (sizeof(Vrf) + sizeof(Version) + of_map);
}

} // namespace weft
