#include "pipeline/name_pattern.hh"

#include <algorithm>

namespace weft {

namespace {

constexpr std::string_view any_labels = "*.";

constexpr bool is_upper(char c) noexcept {
    return c >= 'A' && c <= 'Z';
}
constexpr bool is_letter_digit(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/// For messages: foreign bytes that a terminal can show, and not too many of them.
std::string shown(std::string_view text) {
    constexpr std::size_t bytes_max = 60;
    std::string out = "\"";
    for (const char c : text.substr(0, bytes_max))
        out += c >= ' ' && c <= '~' && c != '"' && c != '\\' ? c : '?';
    return out + (text.size() > bytes_max ? "...\"" : "\"");
}

std::string label_error(std::string_view label) {
    if (label.empty())
        return "a label is empty";
    if (label.size() > label_bytes_max)
        return "a label has " + std::to_string(label.size()) + " bytes, and at most " +
               std::to_string(label_bytes_max) + " are allowed";
    for (const char c : label)
        if (!is_letter_digit(c) && c != '-' && c != '_' && c != '*')
            return shown({&c, 1}) + " is no letter, digit, \"-\", \"_\" or \"*\"" +
                   (static_cast<unsigned char>(c) >= 0x80
                        ? "; a name in another script is written as its A-label (xn--...)"
                        : "");
    if (label.find("**") != std::string_view::npos)
        return "two \"*\" stand side by side";
    return {};
}

} // namespace

Result<std::string> canonical_name_pattern(std::string_view text) {
    const auto refuse = [&](const std::string& why) {
        return fail("bad_value", shown(text) + " is no name: " + why);
    };
    std::string name{text};
    if (name.ends_with('.'))
        name.pop_back();
    if (name.empty())
        return refuse("it is empty");
    if (name.size() > name_bytes_max)
        return refuse(
            "it has " + std::to_string(name.size()) + " bytes, and at most " +
            std::to_string(name_bytes_max) + " are allowed"
        );
    for (char& c : name)
        if (is_upper(c))
            c = static_cast<char>(c - 'A' + 'a');
    for (std::size_t begin = 0; begin <= name.size();) {
        const std::size_t end = std::min(name.find('.', begin), name.size());
        if (const std::string why = label_error(std::string_view{name}.substr(begin, end - begin));
            !why.empty())
            return refuse(why);
        begin = end + 1;
    }
    if (const auto stars = std::count(name.begin(), name.end(), '*');
        static_cast<std::size_t>(stars) > stars_max)
        return refuse(
            "it has " + std::to_string(stars) + " \"*\", and at most " + std::to_string(stars_max) +
            " are allowed"
        );
    return name;
}

NameForm form_of(std::string_view pattern) noexcept {
    if (pattern.find('*') == std::string_view::npos)
        return NameForm::exact;
    if (pattern == "*")
        return NameForm::suffix;
    const bool only_first =
        pattern.starts_with(any_labels) && pattern.find('*', 1) == std::string_view::npos;
    return only_first ? NameForm::suffix : NameForm::wildcard;
}

std::size_t specificity_of(std::string_view pattern) noexcept {
    constexpr std::size_t form_step = 256; // more than any name has bytes
    const auto stars = static_cast<std::size_t>(std::count(pattern.begin(), pattern.end(), '*'));
    return (static_cast<std::size_t>(form_of(pattern)) + 1) * form_step + pattern.size() - stars;
}

bool matches(std::string_view pattern, std::string_view name) noexcept {
    if (pattern == "*")
        return !name.empty();
    // Where a "*" can take more, the last one is tried again; an earlier one need not be, unless it
    // is the one that may pass dots while the last one may not.
    struct Again {
        std::size_t pattern = std::string_view::npos; // behind the star
        std::size_t name = 0;
    };
    Again labels, star;
    std::size_t p = 0, n = 0;
    if (pattern.starts_with(any_labels)) {
        const std::size_t dot = name.find('.', 1);
        if (dot == std::string_view::npos)
            return false;
        p = any_labels.size();
        n = dot + 1;
        labels = {p, n};
    }
    const auto next_labels = [&] {
        if (labels.pattern == std::string_view::npos)
            return false;
        const std::size_t dot = name.find('.', labels.name);
        if (dot == std::string_view::npos)
            return false;
        labels.name = dot + 1;
        p = labels.pattern;
        n = labels.name;
        star = {};
        return true;
    };
    for (;;) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = {++p, n};
        } else if (p < pattern.size() && n < name.size() && pattern[p] == name[n]) {
            ++p;
            ++n;
        } else if (p == pattern.size() && n == name.size()) {
            return true;
        } else if (star.pattern != std::string_view::npos && star.name < name.size() && name[star.name] != '.') {
            p = star.pattern;
            n = ++star.name;
        } else if (!next_labels()) {
            return false;
        }
    }
}

std::string regular_expression_of(std::string_view pattern) {
    std::string out = "^";
    if (pattern.starts_with(any_labels)) {
        out += ".+\\.";
        pattern.remove_prefix(any_labels.size());
    }
    for (const char c : pattern)
        if (c == '*')
            out += "[^.]*";
        else if (c == '.')
            out += "\\.";
        else
            out += c;
    return out + "\\z";
}

} // namespace weft
