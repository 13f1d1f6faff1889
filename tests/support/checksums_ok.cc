// A second opinion on checksums: slow, byte by byte, with no code of the switch.
#include "tests/support/packets.hh"

#include <cstdio>
#include <string>

namespace weft::test {

namespace {

struct Reader {
    std::span<const std::byte> bytes;

    bool has(std::size_t at, std::size_t count) const { return at + count <= bytes.size(); }
    unsigned one(std::size_t at) const { return std::to_integer<unsigned>(bytes[at]); }
    unsigned two(std::size_t at) const { return one(at) << 8 | one(at + 1); }
};

unsigned add(unsigned sum, unsigned word) {
    sum += word;
    return (sum & 0xffff) + (sum >> 16);
}

/// The sum of 16-bit words, leaving out the one at `skip`.
unsigned sum_of(const Reader& from, std::size_t begin, std::size_t end, std::size_t skip) {
    unsigned sum = 0;
    for (std::size_t at = begin; at < end; at += 2)
        if (at != skip)
            sum = add(sum, at + 1 < end ? from.two(at) : from.one(at) << 8);
    return sum;
}

testing::AssertionResult same(const char* what, unsigned is, unsigned should) {
    if (is == should)
        return testing::AssertionSuccess();
    char text[96];
    std::snprintf(text, sizeof text, "%s checksum is %04x and should be %04x", what, is, should);
    return testing::AssertionFailure() << text;
}

struct L4 {
    unsigned proto = 0;
    std::size_t begin = 0, end = 0;
    std::size_t src = 0, dst = 0, address_bytes = 0;
};

testing::AssertionResult sctp_ok(const Reader& from, const L4& l4) {
    unsigned crc = 0xffff'ffff;
    for (std::size_t at = l4.begin; at < l4.end; ++at) {
        const bool field = at >= l4.begin + 8 && at < l4.begin + 12;
        crc ^= field ? 0 : from.one(at);
        for (int i = 0; i < 8; ++i)
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f6'3b78 : crc >> 1;
    }
    crc = ~crc;
    unsigned is = 0;
    for (unsigned i = 0; i < 4; ++i)
        is |= from.one(l4.begin + 8 + i) << 8 * i;
    return same("sctp", is, crc);
}

testing::AssertionResult l4_ok(const Reader& from, L4 l4) {
    const bool ip6 = l4.address_bytes == 16;
    const std::size_t there = l4.end - l4.begin;
    std::size_t field = 0;
    const char* what = nullptr;
    if (l4.proto == 132)
        return there < 12 ? testing::AssertionSuccess() : sctp_ok(from, l4);
    if (l4.proto == 6 && there >= 20)
        field = 16, what = "tcp";
    else if (l4.proto == 17 && there >= 8)
        field = 6, what = "udp";
    else if (l4.proto == 1 && !ip6 && there >= 8)
        field = 2, what = "icmp4";
    else if (l4.proto == 58 && ip6 && there >= 4)
        field = 2, what = "icmp6";
    else
        return testing::AssertionSuccess();
    const std::size_t at = l4.begin + field;
    if (l4.proto == 17 && !ip6 && from.two(at) == 0)
        return testing::AssertionSuccess();
    if (l4.proto == 17 && from.two(l4.begin + 4) >= 8 && from.two(l4.begin + 4) < there)
        l4.end = l4.begin + from.two(l4.begin + 4);
    unsigned sum = sum_of(from, l4.begin, l4.end, at);
    if (l4.proto != 1) {
        sum = add(sum, sum_of(from, l4.src, l4.src + l4.address_bytes, 0));
        sum = add(sum, sum_of(from, l4.dst, l4.dst + l4.address_bytes, 0));
        sum = add(sum, l4.proto);
        sum = add(sum, static_cast<unsigned>(l4.end - l4.begin));
    }
    unsigned should = ~sum & 0xffff;
    if (l4.proto == 17 && should == 0)
        should = 0xffff;
    return same(what, from.two(at), should);
}

testing::AssertionResult ip4_ok(const Reader& from, std::size_t l3) {
    if (!from.has(l3, 20))
        return testing::AssertionSuccess();
    const std::size_t header = (from.one(l3) & 0xf) * 4, total = from.two(l3 + 2);
    if (header < 20 || total < header || !from.has(l3, total))
        return testing::AssertionSuccess();
    const auto own =
        same("ip4", from.two(l3 + 10), ~sum_of(from, l3, l3 + header, l3 + 10) & 0xffff);
    if (!own || (from.two(l3 + 6) & 0x3fff) != 0)
        return own;
    return l4_ok(from, {from.one(l3 + 9), l3 + header, l3 + total, l3 + 12, l3 + 16, 4});
}

testing::AssertionResult ip6_ok(const Reader& from, std::size_t l3) {
    if (!from.has(l3, 40) || !from.has(l3, 40 + from.two(l3 + 4)))
        return testing::AssertionSuccess();
    L4 l4{from.one(l3 + 6), l3 + 40, l3 + 40 + from.two(l3 + 4), l3 + 8, l3 + 24, 16};
    for (;;) {
        const bool known = l4.proto == 0 || l4.proto == 43 || l4.proto == 60 || l4.proto == 51;
        if (l4.proto == 44 && l4.begin + 8 <= l4.end) {
            if ((from.two(l4.begin + 2) & 0xfff9) != 0)
                return testing::AssertionSuccess();
            l4.proto = from.one(l4.begin);
            l4.begin += 8;
            continue;
        }
        if (!known || l4.begin + 8 > l4.end)
            break;
        const std::size_t units = from.one(l4.begin + 1);
        const std::size_t bytes = l4.proto == 51 ? (units + 2) * 4 : (units + 1) * 8;
        if (l4.begin + bytes > l4.end)
            return testing::AssertionSuccess();
        if (l4.proto == 43 && from.one(l4.begin + 3) != 0) {
            if (from.one(l4.begin + 2) != 4 || bytes < 24)
                return testing::AssertionSuccess(); // where its last segment stands, we do not know
            l4.dst = l4.begin + 8;
        }
        l4.proto = from.one(l4.begin);
        l4.begin += bytes;
    }
    return l4_ok(from, l4);
}

} // namespace

testing::AssertionResult checksums_ok(std::span<const std::byte> frame) {
    const Reader from{frame};
    std::size_t at = 12;
    while (from.has(at, 6) &&
           (from.two(at) == 0x8100 || from.two(at) == 0x88a8 || from.two(at) == 0x9100))
        at += 4;
    if (!from.has(at, 2))
        return testing::AssertionSuccess();
    if (from.two(at) < 0x600 && from.has(at, 10) && from.two(at + 2) == 0xaaaa)
        at += 8;
    if (from.two(at) == 0x0800)
        return ip4_ok(from, at + 2);
    if (from.two(at) == 0x86dd)
        return ip6_ok(from, at + 2);
    return testing::AssertionSuccess();
}

} // namespace weft::test
