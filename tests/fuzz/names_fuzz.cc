// Any payload in a TCP or UDP packet, or a right one with some bytes changed: the name that is
// found, or its absence, is what the slow reading says, whatever the head ends with. The first 4
// bytes of the input choose the packet.
#include "base/check.hh"
#include "pipeline/name_pattern.hh"
#include "pipeline/parse.hh"
#include "pipeline/payload_names.hh"
#include "tests/support/naive_names.hh"
#include "tests/support/name_payloads.hh"
#include "tests/support/packets.hh"

#include <cstring>
#include <span>

namespace {

using namespace weft;
using namespace weft::test;

struct Choice {
    std::uint8_t kind;
    std::uint8_t padding;
    std::uint16_t head_bytes; // of packets that are longer than 256
};
static_assert(sizeof(Choice) == 4);

PacketSpec packet_of(std::uint8_t kind) {
    switch (kind % 4) {
    case 0:
        return tcp("10.0.0.1:1 > 10.0.0.2:443");
    case 1:
        return tcp("[fd00::1]:1 > [fd00::2]:80");
    case 2:
        return udp("10.0.0.1:1 > 10.0.0.2:53");
    default:
        return udp("[fd00::1]:1 > [fd00::2]:53");
    }
}

/// The input itself, or what a client sends, with a byte changed for each three of the input.
Bytes payload_of(std::uint8_t kind, std::span<const std::uint8_t> input) {
    std::string text{input.begin(), input.end()};
    if (kind / 4 % 2 != 0) {
        const FieldId field = kind % 4 >= 2       ? FieldId::dns_qname
                              : kind / 8 % 2 != 0 ? FieldId::tls_sni
                                                  : FieldId::http_host;
        text = payload_for(field, "www.Example.com");
        for (std::size_t at = 0; at + 3 <= input.size(); at += 3)
            text[(std::size_t{input[at]} << 8 | input[at + 1]) % text.size()] =
                static_cast<char>(input[at + 2]);
    }
    return text_bytes(text);
}

void check_patterns(const PayloadName& found) {
    const std::string name{found.view()};
    for (const char* pattern : {"*", "*.com", "*.example.com", "w*.example.com", "*.w*.*.com"})
        check(matches(pattern, name) == naive_matches(pattern, name));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Choice choice;
    if (size < sizeof choice || size > 4'096)
        return 0;
    std::memcpy(&choice, data, sizeof choice);
    const Bytes bytes =
        packet_of(choice.kind)
            .payload(payload_of(choice.kind, {data + sizeof choice, size - sizeof choice}))
            .padding(choice.padding)
            .bytes();
    constexpr std::size_t whole_bytes = 256;
    std::size_t head_bytes = bytes.size();
    if (head_bytes > whole_bytes)
        head_bytes = whole_bytes + choice.head_bytes % (head_bytes - whole_bytes + 1);
    OwnedPacket owned{bytes, head_bytes};
    FlowKey key;
    if (parse(owned.packet, PortNumber{1}, {}, key) != Drop::none)
        return 0;
    PayloadName found;
    find_payload_name(owned.packet, key.shape(), found);
    const auto naive = naive_name(owned.packet, key.shape());
    check(found.present() == naive.has_value());
    if (found.present()) {
        check(found.field == naive->field && found.view() == naive->text);
        check_patterns(found);
    }
    return 0;
}
