#include "control/language/prefixes.hh"

#include "control/language/language.hh"

#include <algorithm>
#include <bit>

namespace weft::language {

bool append(Prefix prefix, Prefixes& out) {
    constexpr std::size_t kept_max = 4 * match_terms_max;
    out.push_back(prefix);
    if (out.size() <= 2 * kept_max)
        return true;
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out.size() <= kept_max;
}

namespace {

/// The free low bits of the widest prefix that begins with `first` and ends with `last` at most.
U128 widest_host(U128 first, U128 last, U128 max) {
    if (max.high == 0) {
        const std::uint64_t more = last.low - first.low;
        const int fit =
            more == ~std::uint64_t{0} ? 64 : static_cast<int>(std::bit_width(more + 1)) - 1;
        const int bits = std::min(std::countr_zero(first.low), fit);
        return bits == 64 ? max : U128{(std::uint64_t{1} << bits) - 1};
    }
    U128 host{};
    for (;;) {
        const U128 wider = host << 1 | U128{1};
        if (wider == host || (first & wider) || wider > max || last - first < wider)
            return host;
        host = wider;
    }
}

} // namespace

bool cover(U128 first, U128 last, U128 max, Prefixes& out) {
    const U128 one{1};
    for (;;) {
        const U128 host = widest_host(first, last, max);
        if (!append({first, max & ~host}, out))
            return false;
        if (last - first <= host)
            return true;
        first = first + host + one;
    }
}

bool complement_of(Prefix of, Prefixes& out) {
    U128 above{}; // bits of the mask that are settled
    for (unsigned bit = 128; bit-- > 0;) {
        const U128 here = U128{1} << bit;
        if (!(of.mask & here))
            continue;
        if (!append({(of.value & above) | (~of.value & here), above | here}, out))
            return false;
        above = above | here;
    }
    return true;
}

namespace {

/// The gaps between prefixes, which are intervals.
bool gaps(Prefixes prefixes, U128 max, Prefixes& out) {
    std::sort(prefixes.begin(), prefixes.end());
    U128 next{}; // the first value that may lie in a gap
    for (const Prefix& prefix : prefixes) {
        const U128 last = prefix.value | (max & ~prefix.mask);
        if (next < prefix.value && !cover(next, prefix.value - U128{1}, max, out))
            return false;
        if (last == max)
            return true;
        next = std::max(next, last + U128{1});
    }
    return cover(next, max, max, out);
}

} // namespace

bool complement(Prefixes& values, U128 max, std::size_t& work) {
    Prefixes rest;
    if (std::all_of(values.begin(), values.end(), [&](const Prefix& value) {
            return is_prefix(value.mask, max);
        })) {
        if (!gaps(std::move(values), max, rest))
            return false;
        values = std::move(rest);
        return true;
    }
    rest.push_back({});
    for (const Prefix& value : values) {
        Prefixes others, both;
        if (!complement_of(value, others))
            return false;
        work += others.size() * rest.size();
        if (work > LanguageLimits::combinations_max)
            return false;
        for (const Prefix& a : rest)
            for (const Prefix& b : others)
                if (!((a.value ^ b.value) & a.mask & b.mask) &&
                    !append({a.value | b.value, a.mask | b.mask}, both))
                    return false;
        rest = std::move(both);
    }
    values = std::move(rest);
    return true;
}

} // namespace weft::language
