#include "control/weftctl/text_table.hh"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace weft::ctl {

TextTable::TextTable(std::vector<Column> columns) : columns_{std::move(columns)} {
    for (const Column& column : columns_)
        width_.push_back(width_of(column.name));
}

void TextTable::add(std::vector<std::string> cells) {
    cells.resize(columns_.size());
    for (std::size_t i = 0; i < cells.size(); ++i) {
        cells[i] = printable(cells[i]);
        width_[i] = std::max(width_[i], std::min(width_of(cells[i]), cell_max));
    }
    cells_.push_back(std::move(cells));
}

std::string TextTable::line(const std::vector<std::string>& cells) const {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const std::size_t width = width_of(cells[i]);
        const std::string padding(width_[i] - std::min(width, width_[i]), ' ');
        text += i == 0 ? "" : "  ";
        text += columns_[i].align == Align::right ? padding + cells[i] : cells[i] + padding;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text + '\n';
}

std::string TextTable::take() {
    std::string text;
    if (!std::exchange(has_header_, true)) {
        std::vector<std::string> names;
        for (const Column& column : columns_)
            names.push_back(column.name);
        text += line(names);
    }
    for (const auto& cells : cells_)
        text += line(cells);
    cells_.clear();
    return text;
}

std::size_t width_of(std::string_view text) noexcept {
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
}

std::string printable(std::string_view text) {
    std::string clean{text};
    std::ranges::replace_if(
        clean, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?'
    );
    return clean;
}

std::string json_string(std::string_view text) {
    std::string quoted = "\"";
    for (const char c : printable(text)) {
        if (c == '"' || c == '\\')
            quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

std::string grouped(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
        digits.insert(static_cast<std::size_t>(at), ",");
    return digits;
}

std::string short_number(double number) {
    constexpr const char* units[] = {"", "k", "M", "G", "T", "P", "E"};
    std::size_t unit = 0;
    // 999.6 would be printed as 1000 with the smaller unit.
    for (; number >= 999.5 && unit + 1 < std::size(units); ++unit)
        number /= 1'000;
    const bool is_whole = unit == 0 && number == static_cast<double>(static_cast<int>(number));
    const int decimals = is_whole || number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
    char text[32];
    std::snprintf(text, sizeof text, "%.*f%s", decimals, number, units[unit]);
    return text;
}

} // namespace weft::ctl
