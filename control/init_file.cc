#include "control/init_file.hh"

#include "control/file.hh"

#include <algorithm>

namespace weft {

namespace {

constexpr std::size_t init_bytes_max = std::size_t{1} << 30;

} // namespace

std::vector<InitLine> init_lines(std::string_view text) {
    std::vector<InitLine> lines;
    for (std::size_t at = 0, number = 1; at < text.size(); ++number) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        at = end + 1;
        const std::size_t first = line.find_first_not_of(" \t\r");
        if (first == std::string_view::npos || line[first] == '#')
            continue;
        line.remove_prefix(first);
        lines.push_back({number, std::string{line}});
    }
    return lines;
}

Result<std::vector<InitLine>> read_init(const std::string& path) {
    const auto text = read_file("--init", path, init_bytes_max);
    if (!text)
        return tl::unexpected{text.error()};
    return init_lines(*text);
}

std::optional<std::string> refusal_in(const control::Reply& reply) {
    if (reply.has_error())
        return reply.error().message();
    if (!reply.has_nak())
        return std::nullopt;
    const control::Nak& nak = reply.nak();
    return (nak.has_op() ? "op " + std::to_string(nak.op()) + ": " : "") + nak.message() + " (" +
           nak.code() + ")";
}

} // namespace weft
