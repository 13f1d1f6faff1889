// A packet as a person gives it: hexadecimal, or one of a capture file.
#pragma once

#include "base/result.hh"
#include "control/weftctl/arguments.hh"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace weft::ctl {

/// Bytes from pairs of hexadecimal digits; whitespace, ':', '.', '-' and an 0x in front count for
/// nothing. Fails on anything else.
Result<std::string> bytes_from_hex(std::string_view text);

/// "FILE" or "FILE:N": the file and the number of the packet, from 1.
std::pair<std::string, std::uint64_t> split_pcap(std::string_view text);

/// The packet's bytes. Fails with one sentence: what is wrong with the digits, the file cannot be
/// read or has no such packet.
Result<std::string> read_packet(const PacketSource& source);

} // namespace weft::ctl
