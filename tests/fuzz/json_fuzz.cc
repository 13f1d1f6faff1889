// Any bytes as a JSON line: never a crash; what is accepted survives both encodings unchanged; what
// is refused can be answered.
#include "base/check.hh"
#include "control/codec_binary.hh"
#include "control/codec_json.hh"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weft;
    const Decoded decoded = decode_json_line({reinterpret_cast<const char*>(data), size});
    if (const auto* request = std::get_if<control::Request>(&decoded)) {
        const std::string bytes = request->SerializeAsString();
        const Decoded by_binary = decode_binary(bytes);
        const Decoded by_json = decode_json_line(to_json(*request));
        check(std::get<control::Request>(by_binary).SerializeAsString() == bytes);
        check(std::get<control::Request>(by_json).SerializeAsString() == bytes);
        return 0;
    }
    control::Reply reply;
    if (const auto* nak = std::get_if<control::Nak>(&decoded))
        *reply.mutable_nak() = *nak;
    else
        *reply.mutable_error() = std::get<control::Failure>(decoded);
    control::Reply again;
    check(is_utf8(encode_json(reply)));
    check(again.ParseFromString(reply.SerializeAsString())); // all of it is UTF-8
    return 0;
}
