// A packet from its description: what `trace` runs when it is given a match instead of bytes.
#pragma once

#include "base/result.hh"
#include "pipeline/match.hh"

#include <cstddef>
#include <string>
#include <vector>

namespace weft {

struct DescribedPacket {
    std::vector<std::byte> bytes; // with right checksums, at least 60 of them
    std::string port;             // the inport that the match names; empty: none
};

/// The packet that the first alternative of `match` describes, as plain as it can be: what the
/// match leaves open is 0, but for addresses of the Ethernet header (02:00:00:00:00:01 to
/// 02:00:00:00:00:02), a TTL of 64 and the SYN flag. One with a name in its payload has PSH and
/// ACK, or goes to port 53, and "x" where a pattern has "*". Refuses with bad_value what no
/// packet's bytes hold (registers, connection and tunnel fields) and what cannot be.
Result<DescribedPacket> described_packet(const Match& match);

} // namespace weft
