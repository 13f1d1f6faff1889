#include "control/socket_path.hh"

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>
#include <unistd.h>

namespace weft {

namespace {

constexpr const char* of_the_machine = "/run/weft/control.sock";

std::optional<std::string> of_this_user() {
    const char* directory = std::getenv("XDG_RUNTIME_DIR");
    if (directory == nullptr || *directory == '\0')
        return std::nullopt;
    return std::string{directory} + "/weft/control.sock";
}

} // namespace

Result<std::string> default_socket_to_open() {
    if (::geteuid() == 0)
        return std::string{of_the_machine};
    if (auto path = of_this_user())
        return *path;
    return fail(
        "bad_value",
        "no place for the control socket: not root, and XDG_RUNTIME_DIR is not set; give --socket "
        "PATH"
    );
}

std::string default_socket_to_call() {
    if (const char* asked = std::getenv("WEFT_SOCKET"); asked != nullptr && *asked != '\0')
        return asked;
    std::error_code ignored;
    if (const auto path = of_this_user(); path && std::filesystem::exists(*path, ignored))
        return *path;
    return of_the_machine;
}

Result<void> make_socket_directory(const std::string& path) {
    const auto directory = std::filesystem::path{path}.parent_path();
    std::error_code problem;
    if (directory.empty() || std::filesystem::is_directory(directory, problem))
        return {};
    if (!std::filesystem::create_directory(directory, problem))
        return fail(
            "bad_value", "socket " + path + ": cannot make its directory: " + problem.message()
        );
    using std::filesystem::perms;
    std::filesystem::permissions(
        directory, perms::owner_all | perms::group_read | perms::group_exec, problem
    );
    return {};
}

} // namespace weft
