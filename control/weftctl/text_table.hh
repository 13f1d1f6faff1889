// Aligned columns of text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::ctl {

enum class Align : std::uint8_t { left, right };

struct Column {
    std::string name;
    Align align = Align::left;
};

/// Rows of cells, as wide as the widest cell of each column, but no wider than `cell_max`: what is
/// longer pushes the rest of its own line only. The last column is never padded. Control characters
/// come out as '?'.
class TextTable {
public:
    static constexpr std::size_t cell_max = 60;

    explicit TextTable(std::vector<Column> columns);
    void add(std::vector<std::string> cells);
    std::size_t rows() const noexcept { return cells_.size(); }
    /// The rows added since the last call, each line with its newline; with the names of the
    /// columns the first time. Columns never get narrower from one call to the next.
    std::string take();

private:
    std::string line(const std::vector<std::string>& cells) const;

    std::vector<Column> columns_;
    std::vector<std::size_t> width_;
    std::vector<std::vector<std::string>> cells_;
    bool has_header_ = false;
};

/// Characters on a screen, for text in UTF-8.
std::size_t width_of(std::string_view text) noexcept;
/// `text` without control characters: what others wrote cannot move the cursor.
std::string printable(std::string_view text);
/// `text` as a JSON string, quotes included.
std::string json_string(std::string_view text);
/// 1234567 as "1,234,567".
std::string grouped(std::uint64_t number);
/// Three digits and a unit: "0", "999", "12.3k", "1.50M", "2.00G".
std::string short_number(double number);

} // namespace weft::ctl
