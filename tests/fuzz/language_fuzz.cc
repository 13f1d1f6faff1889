// Any text as a match and as actions: it is refused with a sentence, or what it comes to prints,
// parses back to the same, and prints the same again.
#include "base/check.hh"
#include "control/language/encode.hh"
#include "control/language/language.hh"

#include <cstdint>
#include <string>
#include <string_view>

namespace {

using namespace weft;

template <class Of>
void prints_back(const Result<Of>& parsed, Result<Of> (*parse)(std::string_view)) {
    if (!parsed) {
        check(!parsed.error().code.empty() && !parsed.error().what.empty());
        return;
    }
    const std::string text = print(*parsed);
    const Result<Of> again = parse(text);
    check(again.has_value());
    check(*again == *parsed);
    check(print(*again) == text);
    std::string first, second;
    encode(*parsed, first);
    encode(*again, second);
    check(first == second);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    const std::string_view text{reinterpret_cast<const char*>(data), bytes};
    const auto match = parse_match(text);
    prints_back(match, &parse_match);
    if (match)
        check(*checked(match->terms) == *match);
    const auto actions = parse_actions(text);
    prints_back(actions, &parse_actions);
    if (actions)
        check(*checked(*actions) == *actions);
    return 0;
}
