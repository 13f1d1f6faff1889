#include "tests/support/pcap_file.hh"

#include "base/be.hh"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

namespace weft::test {

namespace {

constexpr std::uint32_t magic_us = 0xa1b2'c3d4, magic_ns = 0xa1b2'3c4d;
constexpr std::size_t file_header_bytes = 24, record_header_bytes = 16;

class FileReader {
public:
    FileReader(const std::vector<char>& bytes, bool big_endian) : bytes_{bytes}, big_{big_endian} {}
    std::uint32_t number(std::size_t at) const {
        std::uint32_t value;
        std::memcpy(&value, bytes_.data() + at, sizeof value);
        return big_ ? byte_swap(value) : value;
    }

private:
    const std::vector<char>& bytes_;
    bool big_;
};

class Writer {
public:
    Writer(std::ofstream& to, bool big_endian) : to_{to}, big_{big_endian} {}
    void number(std::uint32_t value) {
        if (big_)
            value = byte_swap(value);
        bytes(&value, sizeof value);
    }
    void version() { // two 16-bit numbers: 2.4
        const auto wire = [&](std::uint16_t value) { return big_ ? byte_swap(value) : value; };
        const std::uint16_t pair[] = {wire(2), wire(4)};
        bytes(pair, sizeof pair);
    }
    void bytes(const void* from, std::size_t count) {
        to_.write(static_cast<const char*>(from), static_cast<std::streamsize>(count));
    }

private:
    std::ofstream& to_;
    bool big_;
};

} // namespace

Result<PcapFile> read_pcap(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    if (!in)
        return fail("bad_value", "pcap file \"" + path.string() + "\": cannot be opened");
    const std::vector<char> bytes{std::istreambuf_iterator<char>{in}, {}};
    const auto wrong = [&](const std::string& why) {
        return fail("bad_value", "pcap file \"" + path.string() + "\": " + why);
    };
    if (bytes.size() < file_header_bytes)
        return wrong("must begin with a header of 24 bytes");
    PcapFile file;
    const std::uint32_t native = FileReader{bytes, false}.number(0);
    file.big_endian = native == byte_swap(magic_us) || native == byte_swap(magic_ns);
    const FileReader from{bytes, file.big_endian};
    if (from.number(0) != magic_us && from.number(0) != magic_ns)
        return wrong("must begin with the number of a classic pcap file");
    file.nanoseconds = from.number(0) == magic_ns;
    file.snap_bytes = from.number(16);
    file.link_type = from.number(20);
    std::size_t at = file_header_bytes;
    while (at < bytes.size()) {
        const auto ordinal = std::to_string(file.packets.size() + 1);
        if (bytes.size() - at < record_header_bytes)
            return wrong("ends inside the header of record " + ordinal);
        PcapPacket packet;
        packet.time_ns = from.number(at) * std::uint64_t{1'000'000'000} +
                         from.number(at + 4) * std::uint64_t{file.nanoseconds ? 1u : 1'000u};
        const std::size_t count = from.number(at + 8);
        packet.original_bytes = from.number(at + 12);
        at += record_header_bytes;
        if (bytes.size() - at < count)
            return wrong("ends inside record " + ordinal);
        packet.bytes.resize(count);
        if (count != 0)
            std::memcpy(packet.bytes.data(), bytes.data() + at, count);
        at += count;
        file.packets.push_back(std::move(packet));
    }
    return file;
}

Result<std::size_t> write_pcap(const std::filesystem::path& path, const PcapFile& file) {
    std::ofstream out{path, std::ios::binary | std::ios::trunc};
    Writer to{out, file.big_endian};
    to.number(file.nanoseconds ? magic_ns : magic_us);
    to.version();
    to.number(0); // time zone
    to.number(0); // accuracy
    to.number(file.snap_bytes);
    to.number(file.link_type);
    const std::uint64_t unit = file.nanoseconds ? 1 : 1'000;
    for (const PcapPacket& packet : file.packets) {
        const auto count = static_cast<std::uint32_t>(packet.bytes.size());
        to.number(static_cast<std::uint32_t>(packet.time_ns / 1'000'000'000));
        to.number(static_cast<std::uint32_t>(packet.time_ns % 1'000'000'000 / unit));
        to.number(count);
        to.number(packet.original_bytes == 0 ? count : packet.original_bytes);
        to.bytes(packet.bytes.data(), count);
    }
    out.close();
    if (!out)
        return fail("bad_value", "pcap file \"" + path.string() + "\": cannot be written");
    return file.packets.size();
}

std::vector<std::filesystem::path> shared_pcaps() {
    std::vector<std::filesystem::path> found;
    const std::filesystem::path folder = std::filesystem::path{WEFT_SHARED_DIR} / "pcaps";
    if (!std::filesystem::is_directory(folder))
        return found;
    for (const auto& entry : std::filesystem::directory_iterator{folder})
        if (entry.path().extension() == ".pcap")
            found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
}

std::filesystem::path shared_pcap(const std::string& name) {
    return std::filesystem::path{WEFT_SHARED_DIR} / "pcaps" / name;
}

} // namespace weft::test
