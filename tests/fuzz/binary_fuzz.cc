// Any bytes as a connection's: cut into frames, however they arrive, and as a binary frame. Never a
// crash; what is accepted is what protobuf alone would make of it, and survives the JSON encoding.
#include "base/check.hh"
#include "control/codec_binary.hh"
#include "control/codec_json.hh"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

using namespace weft;

void decode_one(std::string_view frame) {
    const Decoded decoded = decode_binary(frame);
    check(!std::holds_alternative<control::Failure>(decoded));
    if (const auto* request = std::get_if<control::Request>(&decoded)) {
        const std::string bytes = request->SerializeAsString();
        const Decoded by_json = decode_json_line(to_json(*request));
        check(std::get<control::Request>(by_json).SerializeAsString() == bytes);
        return;
    }
    control::Reply reply;
    *reply.mutable_nak() = std::get<control::Nak>(decoded);
    control::Reply again;
    check(again.ParseFromString(reply.SerializeAsString()));
}

std::vector<std::string> frames(std::string_view bytes, std::size_t piece) {
    constexpr std::size_t bytes_max = 4'096;
    Framer framer{bytes_max};
    std::vector<std::string> found;
    for (bool more = true; more;) {
        const auto space = framer.space();
        const std::size_t count = std::min({piece, bytes.size(), space.size()});
        std::memcpy(space.data(), bytes.data(), count);
        framer.commit(count);
        bytes.remove_prefix(count);
        more = !bytes.empty();
        if (!more)
            framer.finish();
        for (Frame frame = framer.next(); !std::holds_alternative<NeedMore>(frame);
             frame = framer.next()) {
            if (std::holds_alternative<Broken>(frame)) {
                found.emplace_back("broken");
                return found;
            }
            found.emplace_back(std::get<std::string_view>(frame));
            check(found.back().size() <= bytes_max);
        }
    }
    return found;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    decode_one(bytes);
    const auto at_once = frames(bytes, size + 1);
    check(frames(bytes, 3) == at_once);
    for (const std::string& frame : at_once)
        decode_one(frame);
    return 0;
}
