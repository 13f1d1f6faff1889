#include "pipeline/action.hh"

namespace weft {

namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
    using Visitors::operator()...;
};

} // namespace

std::string_view name(const Action& action) noexcept {
    using std::string_view;
    return std::visit(
        Overloaded{
            [](const action::Output&) -> string_view { return "output"; },
            [](const action::Drop&) -> string_view { return "drop"; },
            [](const action::Set&) -> string_view { return "set"; },
            [](const action::Move&) -> string_view { return "move"; },
            [](const action::Push&) -> string_view { return "push"; },
            [](const action::Pop&) -> string_view { return "pop"; },
            [](const action::PushVlan&) -> string_view { return "vlan.push"; },
            [](const action::PopVlan&) -> string_view { return "vlan.pop"; },
            [](const action::DecTtl&) -> string_view { return "ip.ttl--"; },
            [](const action::Call&) -> string_view { return "call"; },
            [](const action::Goto&) -> string_view { return "goto"; },
            [](const action::Clone&) -> string_view { return "clone"; },
            [](const action::Group&) -> string_view { return "group"; },
            [](const action::Meter&) -> string_view { return "meter"; },
            [](const action::Ct&) -> string_view { return "ct"; },
            [](const action::CtClear&) -> string_view { return "ct_clear"; },
            [](const action::Learn&) -> string_view { return "learn"; },
            [](const action::Conjunction&) -> string_view { return "conjunction"; },
            [](const action::Controller&) -> string_view { return "controller"; },
            [](const action::Sample&) -> string_view { return "sample"; },
            [](const action::CheckPacketLarger&) -> string_view { return "check_pkt_larger"; },
            [](const action::SetQueue&) -> string_view { return "set_queue"; },
            [](const action::Bundle&) -> string_view { return "bundle"; },
        },
        action.of
    );
}

bool supported(const Action& action) noexcept {
    return std::visit(
        Overloaded{
            [](const action::Clone& clone) {
                for (const Action& inner : clone.body)
                    if (!supported(inner))
                        return false;
                return true;
            },
            [](const action::Controller& punt) { return !punt.pause && punt.meter == 0; },
            [](const action::Ct&) { return false; },
            [](const action::CtClear&) { return false; },
            [](const action::Meter&) { return false; },
            [](const action::Learn&) { return false; },
            [](const action::Sample&) { return false; },
            [](const action::Bundle&) { return false; },
            [](const auto&) { return true; },
        },
        action.of
    );
}

} // namespace weft
