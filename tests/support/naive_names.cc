// Bytes stand in strings, and at() and substr() throw where there are no more of them: then there
// is no name.

#include "tests/support/naive_names.hh"

#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <vector>

namespace weft::test {

namespace {

using Text = std::string;

struct NoName : std::runtime_error {
    NoName() : std::runtime_error{"no name"} {}
};

void demand(bool condition) {
    if (!condition)
        throw NoName{};
}

std::size_t number(const Text& bytes, std::size_t at, std::size_t count) {
    std::size_t value = 0;
    for (std::size_t i = 0; i < count; ++i)
        value = value * 256 + static_cast<unsigned char>(bytes.at(at + i));
    return value;
}

/// All of them, or no name.
Text whole(const Text& bytes, std::size_t at, std::size_t count) {
    demand(at <= bytes.size() && count <= bytes.size() - at);
    return bytes.substr(at, count);
}

std::vector<Text> split(const Text& text) {
    std::vector<Text> labels{""};
    for (const char c : text)
        if (c == '.')
            labels.emplace_back();
        else
            labels.back() += c;
    return labels;
}

Text lower(Text text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(std::tolower(c));
    return text;
}

Text canonical(Text text) {
    if (!text.empty() && text.back() == '.')
        text.pop_back();
    demand(text.size() <= 253);
    for (const Text& label : split(text))
        demand(!label.empty());
    return lower(text);
}

Text sni(const Text& payload) {
    demand(number(payload, 0, 1) == 22 && number(payload, 1, 1) == 3);
    const Text record = payload.substr(5, number(payload, 3, 2));
    demand(number(record, 0, 1) == 1);
    const Text hello = record.substr(4, number(record, 1, 3));
    std::size_t at = 34;
    at += 1 + number(hello, at, 1);
    at += 2 + number(hello, at, 2);
    at += 1 + number(hello, at, 1);
    const Text extensions = hello.substr(at + 2, number(hello, at, 2));
    for (at = 0;;) {
        const std::size_t type = number(extensions, at, 2);
        const Text content = whole(extensions, at + 4, number(extensions, at + 2, 2));
        at += 4 + content.size();
        if (type != 0)
            continue;
        const Text list = whole(content, 2, number(content, 0, 2));
        for (std::size_t entry = 0;;) {
            const Text name = whole(list, entry + 3, number(list, entry + 1, 2));
            if (number(list, entry, 1) == 0)
                return canonical(name);
            entry += 3 + name.size();
        }
    }
}

Text host(const Text& payload) {
    std::vector<Text> lines;
    Text line;
    for (const char c : payload) {
        if (c != '\n') {
            line += c;
            continue;
        }
        if (!line.empty() && line.back() == '\r')
            line.pop_back();
        lines.push_back(line);
        line.clear();
    }
    const Text request = lines.at(0);
    const std::size_t space = request.find(' ');
    demand(space >= 1 && space <= 16);
    for (const char c : request.substr(0, space))
        demand(c >= 'A' && c <= 'Z');
    demand(request.size() >= space + 1 + 1 + 9); // a target of at least one byte
    const Text version = request.substr(request.size() - 9);
    demand(version.substr(0, 8) == " HTTP/1." && version[8] >= '0' && version[8] <= '9');
    for (std::size_t i = 1; i < 64 && !lines.at(i).empty(); ++i) {
        if (lower(lines[i].substr(0, 5)) != "host:")
            continue;
        Text value = lines[i].substr(5);
        const Text blanks = " \t";
        value.erase(0, std::min(value.find_first_not_of(blanks), value.size()));
        value.erase(value.find_last_not_of(blanks) + 1);
        demand(value.at(0) != '[');
        return canonical(value.substr(0, value.find(':')));
    }
    throw NoName{};
}

Text qname(const Text& payload) {
    demand((number(payload, 2, 2) & 0xf800) == 0 && number(payload, 4, 2) == 1);
    std::vector<Text> labels;
    std::size_t at = whole(payload, 0, 12).size();
    while (number(payload, at, 1) != 0) {
        demand(number(payload, at, 1) < 64);
        labels.push_back(whole(payload, at + 1, number(payload, at, 1)));
        at += 1 + labels.back().size();
    }
    whole(payload, at + 1, 4);
    Text name;
    for (Text& label : labels) {
        std::replace(label.begin(), label.end(), '.', '\xff');
        name += (name.empty() ? "" : ".") + label;
    }
    demand(!name.empty() && name.size() <= 253);
    return lower(name);
}

bool label_matches(const Text& pattern, const Text& label) {
    if (pattern.empty())
        return label.empty();
    if (pattern[0] == '*')
        return label_matches(pattern.substr(1), label) ||
               (!label.empty() && label_matches(pattern, label.substr(1)));
    return !label.empty() && pattern[0] == label[0] &&
           label_matches(pattern.substr(1), label.substr(1));
}

} // namespace

std::optional<NaiveName> naive_name(const Packet& packet, std::uint16_t shape) {
    const Text head{reinterpret_cast<const char*>(packet.data), packet.head_bytes};
    const bool tcp = has(shape, Shape::tcp);
    if (packet.l4_offset == 0 || (!tcp && !has(shape, Shape::udp)))
        return std::nullopt;
    try {
        const std::size_t l3_bytes = has(shape, Shape::ip4)
                                         ? number(head, packet.l3_offset + 2u, 2)
                                         : 40 + number(head, packet.l3_offset + 4u, 2);
        const Text up_to_l3_end = head.substr(0, packet.l3_offset + l3_bytes);
        const std::size_t header = tcp ? number(head, packet.l4_offset + 12u, 1) / 16 * 4 : 8;
        const Text payload = up_to_l3_end.substr(packet.l4_offset + header, 1500);
        if (!tcp) {
            demand(number(head, packet.l4_offset + 2u, 2) == 53);
            return NaiveName{FieldId::dns_qname, qname(payload)};
        }
        if (number(payload, 0, 1) == 22)
            return NaiveName{FieldId::tls_sni, sni(payload)};
        return NaiveName{FieldId::http_host, host(payload)};
    } catch (const std::exception&) { return std::nullopt; }
}

bool naive_matches(const std::string& pattern, const std::string& name) {
    if (pattern == "*")
        return !name.empty();
    std::vector<Text> wanted = split(pattern), have = split(name);
    if (pattern.starts_with("*.")) {
        wanted.erase(wanted.begin());
        if (have.size() <= wanted.size())
            return false;
        have.erase(have.begin(), have.end() - static_cast<std::ptrdiff_t>(wanted.size()));
    }
    return have.size() == wanted.size() &&
           std::equal(wanted.begin(), wanted.end(), have.begin(), label_matches);
}

} // namespace weft::test
