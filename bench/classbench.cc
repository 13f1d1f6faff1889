#include "bench/classbench.hh"

#include <cstdio>
#include <fstream>

namespace weft::bench {

namespace {

constexpr std::uint8_t tcp = 6, udp = 17;

std::uint32_t prefix_mask(std::uint32_t bits) {
    return bits == 0 ? 0 : ~std::uint32_t{0} << (32 - bits);
}

constexpr std::uint64_t shape_bits(Shape shape) {
    return std::uint64_t{static_cast<std::uint16_t>(shape)} << 48;
}

/// The bits that all numbers of [low, high] share.
std::uint16_t common(std::uint16_t low, std::uint16_t high) {
    std::uint16_t mask = 0xffff;
    while (((low ^ high) & mask) != 0)
        mask = static_cast<std::uint16_t>(mask << 1);
    return mask;
}

Pattern pattern(const Filter& filter, Shape l4) {
    Pattern made;
    const std::uint64_t shape = shape_bits(Shape::ip4 | Shape::ip | l4);
    made.add(0, shape, shape);
    const std::uint64_t addresses =
        std::uint64_t{prefix_mask(filter.src_bits)} << 32 | prefix_mask(filter.dst_bits);
    if (addresses != 0)
        made.add(3, addresses, std::uint64_t{filter.src} << 32 | filter.dst);
    std::uint64_t mask = 0, value = 0;
    if (!filter.any_proto && l4 == Shape::none) {
        mask |= std::uint64_t{0xff} << 56;
        value |= std::uint64_t{filter.proto} << 56;
    }
    if (l4 != Shape::none) {
        const auto port = [&](const std::uint16_t(&range)[2], std::uint8_t shift) {
            const std::uint16_t shared = common(range[0], range[1]);
            mask |= std::uint64_t{shared} << shift;
            value |= std::uint64_t{range[0]} << shift;
            const std::uint16_t open = static_cast<std::uint16_t>(~shared);
            const bool is_prefix = (range[0] & open) == 0 && (range[1] & open) == open;
            if (!is_prefix)
                made.range[made.range_count++] = {4, shift, 16, range[0], range[1]};
        };
        port(filter.src_port, 16);
        port(filter.dst_port, 0);
    }
    if (mask != 0)
        made.add(4, mask, value);
    return made;
}

} // namespace

std::vector<Pattern> patterns_of(const Filter& filter) {
    if (filter.any_port())
        return {pattern(filter, Shape::none)};
    std::vector<Pattern> made;
    if (filter.any_proto || filter.proto == tcp)
        made.push_back(pattern(filter, Shape::tcp));
    if (filter.any_proto || filter.proto == udp)
        made.push_back(pattern(filter, Shape::udp));
    return made;
}

FlowKey key_of(const Header& header) {
    FlowKey key{};
    Shape shape = Shape::ip4 | Shape::ip;
    if (header.proto == tcp || header.proto == udp)
        shape = shape | (header.proto == tcp ? Shape::tcp : Shape::udp);
    key.word[0] = shape_bits(shape);
    key.word[3] = std::uint64_t{header.src} << 32 | header.dst;
    key.word[4] = std::uint64_t{header.proto} << 56;
    if (header.proto == tcp || header.proto == udp)
        key.word[4] |= std::uint64_t{header.src_port} << 16 | header.dst_port;
    return key;
}

Header header_in(const Filter& filter, std::mt19937_64& random) {
    const auto below = [&](std::uint64_t n) { return random() % n; };
    const auto address = [&](std::uint32_t value, std::uint32_t bits) {
        return value | (static_cast<std::uint32_t>(random()) & ~prefix_mask(bits));
    };
    const auto port = [&](const std::uint16_t(&range)[2]) {
        return static_cast<std::uint16_t>(
            range[0] + below(static_cast<std::uint64_t>(range[1] - range[0]) + 1)
        );
    };
    return {
        .src = address(filter.src, filter.src_bits),
        .dst = address(filter.dst, filter.dst_bits),
        .src_port = port(filter.src_port),
        .dst_port = port(filter.dst_port),
        .proto = filter.any_proto ? (below(2) == 0 ? tcp : udp) : filter.proto};
}

Result<std::vector<Filter>> read_filters(const std::string& path) {
    std::ifstream in{path};
    if (!in)
        return fail("no_such_file", path + ": cannot be read");
    std::vector<Filter> filters;
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); ++number) {
        if (line.find_first_not_of(" \t\r") == std::string::npos)
            continue;
        unsigned s[4], d[4], src_bits, dst_bits, ports[4], proto, proto_mask;
        const int read = std::sscanf(
            line.c_str(),
            " @%u.%u.%u.%u/%u %u.%u.%u.%u/%u %u : %u %u : %u %x/%x",
            &s[0],
            &s[1],
            &s[2],
            &s[3],
            &src_bits,
            &d[0],
            &d[1],
            &d[2],
            &d[3],
            &dst_bits,
            &ports[0],
            &ports[1],
            &ports[2],
            &ports[3],
            &proto,
            &proto_mask
        );
        if (read != 16 || src_bits > 32 || dst_bits > 32 || ports[0] > ports[1] ||
            ports[2] > ports[3] || ports[1] > 0xffff || ports[3] > 0xffff)
            return fail(
                "bad_filter",
                path + " line " + std::to_string(number) +
                    ": not a ClassBench filter (@SRC/n DST/n lo : hi lo : hi proto/mask)"
            );
        Filter filter;
        filter.src_bits = src_bits;
        filter.dst_bits = dst_bits;
        filter.src = (s[0] << 24 | s[1] << 16 | s[2] << 8 | s[3]) & prefix_mask(src_bits);
        filter.dst = (d[0] << 24 | d[1] << 16 | d[2] << 8 | d[3]) & prefix_mask(dst_bits);
        for (std::size_t i = 0; i < 2; ++i) {
            filter.src_port[i] = static_cast<std::uint16_t>(ports[i]);
            filter.dst_port[i] = static_cast<std::uint16_t>(ports[2 + i]);
        }
        filter.proto = static_cast<std::uint8_t>(proto);
        filter.any_proto = proto_mask == 0;
        filters.push_back(filter);
    }
    return filters;
}

} // namespace weft::bench
