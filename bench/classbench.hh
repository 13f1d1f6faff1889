// ClassBench filter sets (Taylor, Turner: ClassBench, ToN 2007) as patterns, and headers drawn over
// them.
#pragma once

#include "base/result.hh"
#include "classifier/entry.hh"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace weft::bench {

/// One line of a filter file; the TCP flags are left out.
struct Filter {
    std::uint32_t src = 0, src_bits = 0;
    std::uint32_t dst = 0, dst_bits = 0;
    std::uint16_t src_port[2] = {0, 0xffff}; // lowest and highest
    std::uint16_t dst_port[2] = {0, 0xffff};
    std::uint8_t proto = 0;
    bool any_proto = false;

    bool any_port() const noexcept {
        return src_port[0] == 0 && src_port[1] == 0xffff && dst_port[0] == 0 &&
               dst_port[1] == 0xffff;
    }
};

/// Best first. Fails with the line that cannot be read.
Result<std::vector<Filter>> read_filters(const std::string& path);

struct Header {
    std::uint32_t src = 0, dst = 0;
    std::uint16_t src_port = 0, dst_port = 0;
    std::uint8_t proto = 0;
};

/// The patterns that stand for a filter: one, or two where ports of TCP and UDP are meant (one for
/// each); none where the ports of a protocol without ports are asked for.
std::vector<Pattern> patterns_of(const Filter& filter);
FlowKey key_of(const Header& header);
/// A header that the filter matches, the open parts at random.
Header header_in(const Filter& filter, std::mt19937_64& random);

} // namespace weft::bench
