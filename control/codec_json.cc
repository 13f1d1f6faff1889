#include "control/codec_json.hh"

#include "control/json_reader.hh"

#include <nlohmann/json.hpp>

namespace weft {

namespace {

/// The reader as nlohmann wants it.
struct Events : RequestReader {
    std::string failure; // why the line is not JSON

    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& why) {
        constexpr int overflow = 406; // 1e999 is JSON, but no number of ours
        constexpr std::size_t shown_max = 300;
        if (why.id == overflow) {
            number_overflow();
            return false;
        }
        std::string_view text =
            why.what(); // "[json.exception.parse_error.101] parse error at line 1, column 5: ..."
        if (const auto end = text.find("] "); end != std::string_view::npos)
            text.remove_prefix(end + 2);
        for (const char c : text.substr(0, shown_max)) // it quotes the input
            failure += c >= 0x20 && c < 0x7f ? c : '?';
        return false;
    }
};

} // namespace

Decoded decode_json_line(std::string_view line) {
    Events reader;
    const bool read = nlohmann::json::sax_parse(line.begin(), line.end(), &reader);
    if (!read && !reader.failure.empty()) {
        control::Failure failure;
        failure.set_message(std::move(reader.failure));
        return failure;
    }
    if (reader.fault) {
        std::string id = reader.id.empty() ? id_of(reader.request) : std::move(reader.id);
        return nak_of(std::move(id), std::move(*reader.fault));
    }
    return std::move(reader.request);
}

} // namespace weft
