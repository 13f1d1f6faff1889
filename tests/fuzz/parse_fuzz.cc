// Any bytes through parser and rewriter: never read past the head, say what the slow parser says,
// and after a random edit be the packet that the edit describes, with checksums as right as they
// were. The first 16 bytes of the input choose head, state and edit.
#include "base/check.hh"
#include "pipeline/checksum.hh"
#include "pipeline/headers.hh"
#include "pipeline/parse.hh"
#include "tests/support/naive_parse.hh"
#include "tests/support/packets.hh"
#include "tests/support/random_edit.hh"

#include <algorithm>
#include <cstring>
#include <random>

namespace {

using namespace weft;
using namespace weft::test;

struct Choice {
    std::uint64_t edit_seed;
    std::uint32_t head_bytes; // of packets that are longer than 256
    std::uint8_t checksum;
    std::uint8_t l2_only;
    std::uint16_t unused;
};
static_assert(sizeof(Choice) == 16);

void compare(const Packet& packet, Drop drop, const FlowKey& key) {
    const NaiveParse naive = naive_parse(packet, PortNumber{5});
    check(drop == naive.drop);
    if (drop != Drop::none)
        return;
    check(key == naive.key);
    check(packet.l2_bytes == naive.l2_bytes);
    check(packet.l3_offset == naive.l3_offset && packet.l4_offset == naive.l4_offset);
}

/// Nothing of the packet was understood up to L4, so its sum cannot follow; or what is seen depends
/// on where the head ends.
bool comparable(const Packet& before, const Packet& after, const FlowKey& key) {
    const std::uint64_t type = key.word[0] >> 32 & 0xffff;
    const bool moved = before.data != after.data;
    return !ether::is_tag(static_cast<std::uint32_t>(type)) &&
           (!moved || std::max(before.bytes, after.bytes) <= headers_bytes_max);
}

void edit(OwnedPacket& owned, const FlowKey& key, const Choice& choice) {
    const Bytes bytes = owned.bytes();
    const bool whole = owned.packet.head_bytes == owned.packet.bytes;
    const bool right = whole && owned.packet.l4_checksum != Checksum::partial &&
                       owned.packet.l4_offset != 0 && checksums_ok(bytes);
    std::mt19937_64 random{choice.edit_seed};
    const RandomEdit made = random_edit(key, random);
    const Packet before = owned.packet;
    rewrite(owned.packet, key.shape(), made.edit);
    if (!comparable(before, owned.packet, key))
        return;
    Packet again = owned.packet;
    FlowKey after;
    check(parse(again, PortNumber{5}, {}, after) == Drop::none);
    check(after == made.key);
    check(again.l2_bytes == owned.packet.l2_bytes && again.l3_offset == owned.packet.l3_offset);
    check(again.l4_offset == owned.packet.l4_offset);
    if (right)
        check(checksums_ok(owned.bytes()));
    if (whole && owned.packet.l4_checksum == Checksum::partial)
        write_l4_checksum(owned.packet);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Choice choice;
    if (size < sizeof choice)
        return 0;
    std::memcpy(&choice, data, sizeof choice);
    const std::span bytes{
        reinterpret_cast<const std::byte*>(data) + sizeof choice, size - sizeof choice};
    std::size_t head_bytes = bytes.size();
    if (head_bytes > headers_bytes_max)
        head_bytes = headers_bytes_max + choice.head_bytes % (head_bytes - headers_bytes_max + 1);
    OwnedPacket owned{bytes, head_bytes};
    owned.packet.l4_checksum = static_cast<Checksum>(choice.checksum % 4);
    FlowKey key;
    key.word.fill(choice.edit_seed);
    const Drop drop = parse(owned.packet, PortNumber{5}, {}, key);
    compare(owned.packet, drop, key);
    if (drop == Drop::none)
        edit(owned, key, choice);
    return 0;
}
