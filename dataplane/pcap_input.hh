// How many packets an input file holds: net_pcap gives no end of file.
#pragma once

#include "base/result.hh"

#include <cstdint>
#include <string>

namespace weft {

/// Whole records that libpcap, and so net_pcap, reads from the file before its end or the first
/// broken one. Reads it once. Fails with `bad_device` on what is no file and where libpcap cannot
/// open it.
Result<std::uint64_t> count_records(const std::string& path);

} // namespace weft
