// docs/language.md promises that every example parses and prints back.
#include "control/language/language.hh"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace weft {

namespace {

/// The lines of all fenced blocks with this tag.
std::vector<std::string> examples(std::string_view tag) {
    const char* docs = std::getenv("WEFT_DOCS");
    EXPECT_NE(docs, nullptr) << "WEFT_DOCS names the folder docs/";
    std::ifstream file{std::string{docs == nullptr ? "docs" : docs} + "/language.md"};
    EXPECT_TRUE(file.good()) << "docs/language.md cannot be read";
    std::vector<std::string> lines;
    bool inside = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("```"))
            inside = line == "```" + std::string{tag};
        else if (inside && !line.empty())
            lines.push_back(line);
    }
    return lines;
}

} // namespace

TEST(LanguageDoc, every_example_of_a_match_parses_and_prints_back) {
    const auto lines = examples("match");
    EXPECT_GT(lines.size(), 30u);
    for (const std::string& line : lines) {
        const auto match = parse_match(line);
        ASSERT_TRUE(match) << line << ": " << match.error().what;
        const auto again = parse_match(print(*match));
        ASSERT_TRUE(again) << line << " -> " << print(*match) << ": " << again.error().what;
        EXPECT_EQ(*again, *match) << line << " -> " << print(*match);
    }
}

TEST(LanguageDoc, every_example_of_actions_parses_and_prints_back) {
    const auto lines = examples("actions");
    EXPECT_GT(lines.size(), 25u);
    for (const std::string& line : lines) {
        const auto actions = parse_actions(line);
        ASSERT_TRUE(actions) << line << ": " << actions.error().what;
        const auto again = parse_actions(print(*actions));
        ASSERT_TRUE(again) << line << " -> " << print(*actions) << ": " << again.error().what;
        EXPECT_EQ(*again, *actions) << line << " -> " << print(*actions);
    }
}

TEST(LanguageDoc, every_field_stands_in_it) {
    const char* docs = std::getenv("WEFT_DOCS");
    std::ifstream file{std::string{docs == nullptr ? "docs" : docs} + "/language.md"};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    for (const FieldInfo& field : all_fields()) {
        const std::string name{field.name};
        const bool in_row = name == "shape" || name.starts_with("reg") ||
                            name.starts_with("xreg") || name.starts_with("xxreg") ||
                            name.starts_with("tun_metadata") || name.starts_with("vlan1.");
        EXPECT_TRUE(in_row || text.find('`' + name + '`') != std::string::npos) << name;
    }
}

} // namespace weft
