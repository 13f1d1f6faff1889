// Classic pcap files, read and written by hand: what tests compare with must not come from the
// library under test.
#pragma once

#include "base/result.hh"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace weft::test {

struct PcapPacket {
    std::uint64_t time_ns = 0;
    std::vector<std::byte> bytes;
    std::uint32_t original_bytes =
        0; // more than `bytes` where the capture cut the packet; 0 in one to write: the same
};

struct PcapFile {
    static constexpr std::uint32_t ethernet = 1;

    std::uint32_t link_type = ethernet;
    bool nanoseconds = false;
    bool big_endian = false;
    std::uint32_t snap_bytes = 262'144;
    std::vector<PcapPacket> packets;
};

/// The whole file, either byte order, micro- or nanoseconds. Fails on what is no such file, and on
/// one that ends inside a record.
Result<PcapFile> read_pcap(const std::filesystem::path& path);

/// Writes the whole file in the byte order and resolution that `file` says. Answers with the count
/// of packets.
Result<std::size_t> write_pcap(const std::filesystem::path& path, const PcapFile& file);

/// Every *.pcap in the folder of shared captures, sorted by name; empty where the folder is absent.
std::vector<std::filesystem::path> shared_pcaps();

/// The path of one of them; may not be there.
std::filesystem::path shared_pcap(const std::string& name);

} // namespace weft::test
