#include "control/weftctl/packet_source.hh"

#include <charconv>
#include <memory>
#include <optional>
#include <pcap/pcap.h>

namespace weft::ctl {

namespace {

constexpr std::size_t packet_bytes_max = 65'535;

std::optional<unsigned> digit(char c) {
    if (c >= '0' && c <= '9')
        return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f')
        return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F')
        return static_cast<unsigned>(c - 'A' + 10);
    return std::nullopt;
}

tl::unexpected<Error> wrong_hex(const std::string& what) {
    return fail("bad_value", "--hex: " + what + ": must be pairs of hexadecimal digits");
}

Result<std::string> packet_of(const std::string& file, std::uint64_t number) {
    char problem[PCAP_ERRBUF_SIZE] = "";
    const std::unique_ptr<pcap_t, decltype(&pcap_close)> capture{
        pcap_open_offline(file.c_str(), problem), &pcap_close};
    if (!capture)
        return fail("bad_value", "--pcap " + file + ": " + problem);
    if (pcap_datalink(capture.get()) != DLT_EN10MB)
        return fail("bad_value", "--pcap " + file + ": link type must be Ethernet");
    pcap_pkthdr* header = nullptr;
    const unsigned char* bytes = nullptr;
    for (std::uint64_t at = 1;; ++at) {
        const int got = pcap_next_ex(capture.get(), &header, &bytes);
        if (got != 1)
            return fail(
                "bad_value",
                "--pcap " + file + ": has no packet " + std::to_string(number) + ", only " +
                    std::to_string(at - 1)
            );
        if (at == number)
            break;
    }
    if (header->caplen > packet_bytes_max)
        return fail("bad_value", "--pcap " + file + ": packet is larger than 65535 bytes");
    return std::string{reinterpret_cast<const char*>(bytes), header->caplen};
}

} // namespace

Result<std::string> bytes_from_hex(std::string_view text) {
    if (text.starts_with("0x") || text.starts_with("0X"))
        text.remove_prefix(2);
    std::string bytes;
    std::optional<unsigned> high;
    for (const char c : text) {
        const auto value = digit(c);
        const bool is_separator = std::string_view{" \t\r\n:.-"}.find(c) != std::string_view::npos;
        if (!value && !(is_separator && !high))
            return wrong_hex(
                is_separator ? "half a byte before '" + std::string{c} + "'"
                             : "'" + std::string{c} + "'"
            );
        if (!value)
            continue;
        if (high)
            bytes.push_back(static_cast<char>(*high << 4 | *value));
        high = high ? std::nullopt : value;
    }
    if (high)
        return wrong_hex("half a byte at the end");
    if (bytes.empty() || bytes.size() > packet_bytes_max)
        return wrong_hex(
            std::to_string(bytes.size()) + " bytes are not 1 to " + std::to_string(packet_bytes_max)
        );
    return bytes;
}

std::pair<std::string, std::uint64_t> split_pcap(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    std::uint64_t number = 0;
    if (colon != std::string_view::npos) {
        const std::string_view digits = text.substr(colon + 1);
        const auto [end, problem] =
            std::from_chars(digits.data(), digits.data() + digits.size(), number);
        if (problem == std::errc{} && end == digits.data() + digits.size() && number != 0)
            return {std::string{text.substr(0, colon)}, number};
    }
    return {std::string{text}, 1};
}

Result<std::string> read_packet(const PacketSource& source) {
    if (!source.hex.empty())
        return bytes_from_hex(source.hex);
    const auto [file, number] = split_pcap(source.pcap);
    return packet_of(file, number);
}

} // namespace weft::ctl
