// Any bytes as a match and as actions in messages: refused with a sentence and a place, or what
// they come to is what its text says, and the message that is made of it says the same again.
#include "base/check.hh"
#include "control/language/language.hh"
#include "control/rows/language_message.hh"

#include <cstddef>
#include <cstdint>

namespace {

using namespace weft;

template <class Of, class Message>
void says_what_its_text_says(
    const Message& message,
    Judged<Of> (*read)(const Message&, std::string_view),
    Result<Of> (*parse)(std::string_view)
) {
    const Judged<Of> made = read(message, "row");
    if (!made) {
        check(!made.error().code.empty() && !made.error().message.empty());
        check(made.error().path.starts_with("row"));
        return;
    }
    check(parse(print(*made)).value() == *made);
    Message again;
    to_message(*made, again);
    check(read(again, "row").value() == *made);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    control::Flow flow;
    if (!flow.ParseFromArray(data, static_cast<int>(size)))
        return 0;
    says_what_its_text_says<Match>(flow.match_terms(), &match_from, &parse_match);
    says_what_its_text_says<Actions>(flow.action_list(), &actions_from, &parse_actions);
    return 0;
}
