// weftctl: a person's and a script's way to the control socket.
#include "control/weftctl/commands.hh"

#include <cstdio>
#include <variant>

int main(int argc, char** argv) {
    using namespace weft::ctl;
    const auto parsed = parse_arguments(argc, argv);
    if (const auto* exit = std::get_if<Exit>(&parsed))
        return static_cast<int>(*exit);
    const auto& arguments = std::get<Arguments>(parsed);
    const Exit exit =
        std::visit([&](const auto& command) { return run(arguments, command); }, arguments.command);
    return std::fflush(stdout) == 0 ? static_cast<int>(exit) : static_cast<int>(Exit::refused);
}
