#include "dataplane/pcap_input.hh"

#include <array>
#include <filesystem>
#include <memory>
#include <pcap/pcap.h>
#include <system_error>

namespace weft {

Result<std::uint64_t> count_records(const std::string& path) {
    // Of a pipe, or of "-", libpcap would wait for packets, and what is counted could not be read
    // again.
    std::error_code none;
    if (path == "-" ||
        (std::filesystem::exists(path, none) && !std::filesystem::is_regular_file(path, none)))
        return fail("bad_device", "input " + path + ": must be a file");
    std::array<char, PCAP_ERRBUF_SIZE> why{};
    const std::unique_ptr<pcap_t, void (*)(pcap_t*)> file{
        pcap_open_offline(path.c_str(), why.data()), pcap_close};
    // It begins with the path where the file could not be opened.
    const std::string reason = why.data();
    if (file == nullptr)
        return fail(
            "bad_device",
            reason.starts_with(path) ? "cannot open " + reason
                                     : "cannot read " + path + ": " + reason
        );
    std::uint64_t records = 0;
    pcap_pkthdr* header = nullptr;
    const unsigned char* bytes = nullptr;
    while (pcap_next_ex(file.get(), &header, &bytes) == 1)
        ++records;
    return records;
}

} // namespace weft
