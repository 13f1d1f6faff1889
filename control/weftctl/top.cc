// The live screen: draws top_frame() again and again until somebody presses q.
#include "control/weftctl/caller.hh"
#include "control/weftctl/commands.hh"
#include "control/weftctl/text_table.hh"
#include "control/weftctl/top_frame.hh"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

namespace weft::ctl {

namespace {

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

std::optional<Reading> read_counters(Caller& weft, const Arguments& arguments) {
    control::Request request;
    for (const char* kind : {"ports", "workers", "drops"})
        request.mutable_stats()->add_kinds(kind);
    auto reply = weft.ask(std::move(request), control::Reply::kStats);
    if (!reply)
        return std::nullopt;
    Reading reading{
        .report = std::move(*reply->mutable_stats()), .ports = {}, .time_s = seconds_now()};
    control::Request hello;
    hello.mutable_hello()->set_client(arguments.client);
    reply = weft.ask(std::move(hello), control::Reply::kHello);
    if (!reply)
        return std::nullopt;
    reading.ports.assign(reply->hello().ports().begin(), reply->hello().ports().end());
    return reading;
}

std::optional<std::string> title_of(Caller& weft, const Arguments& arguments) {
    control::Request request;
    request.mutable_hello()->set_client(arguments.client);
    const auto reply = weft.ask(std::move(request), control::Reply::kHello);
    if (!reply)
        return std::nullopt;
    return "weftd " + reply->hello().version() + " on " + reply->hello().node();
}

/// A terminal that shows a screen of ours and gives single keys; as it was before, whatever way we
/// leave.
class Screen {
public:
    Screen() {
        ::tcgetattr(STDIN_FILENO, &before_);
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        print("\x1b[?1049h\x1b[?25l"); // the alternate screen, no cursor
        ::sigemptyset(&signals_);
        for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH})
            ::sigaddset(&signals_, signal);
        ::sigprocmask(SIG_BLOCK, &signals_, nullptr);
        signal_fd_ = ::signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    ~Screen() {
        print("\x1b[?25h\x1b[?1049l");
        std::fflush(stdout);
        ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
        ::close(signal_fd_);
        ::sigprocmask(SIG_UNBLOCK, &signals_, nullptr);
    }
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;

    static winsize size() {
        winsize size{};
        if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
            return {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
        return size;
    }
    static void draw(const std::vector<std::string>& lines) {
        std::string out = "\x1b[H";
        for (std::size_t i = 0; i < lines.size(); ++i)
            out += (i == 0 ? "" : "\r\n") + lines[i] + "\x1b[K";
        print(out + "\x1b[J");
        std::fflush(stdout);
    }
    enum class Heard { nothing, resize, end };
    Heard wait(int ms) const {
        pollfd watched[] = {
            {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
            {.fd = signal_fd_, .events = POLLIN, .revents = 0}};
        if (::poll(watched, 2, ms) <= 0)
            return Heard::nothing;
        signalfd_siginfo signal{};
        if (watched[1].revents != 0 && ::read(signal_fd_, &signal, sizeof signal) > 0)
            return signal.ssi_signo == SIGWINCH ? Heard::resize : Heard::end;
        char key = 0;
        if (watched[0].revents == 0)
            return Heard::nothing;
        return ::read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q' ? Heard::end
                                                                              : Heard::resize;
    }

private:
    termios before_{};
    sigset_t signals_{};
    int signal_fd_ = -1;
};

/// Two readings with the interval between them.
Exit once(Caller& weft, const Arguments& arguments, const Top& top, const std::string& title) {
    const auto before = read_counters(weft, arguments);
    if (!before)
        return weft.exit();
    ::poll(nullptr, 0, static_cast<int>(top.interval_ms));
    const auto now = read_counters(weft, arguments);
    if (!now)
        return weft.exit();
    const TopInput input{
        .title = title,
        .before = *before,
        .now = *now,
        .width = 1'000,
        .height = 10'000,
        .is_live = false};
    if (arguments.json)
        print(top_json(input));
    else
        for (const std::string& line : top_frame(input))
            print(line + "\n");
    return Exit::done;
}

void live(Caller& weft, const Arguments& arguments, const Top& top, const std::string& title) {
    auto before = read_counters(weft, arguments);
    auto now = before;
    double interval_s = 0.2; // the first figures soon
    Screen screen;
    while (now && before) {
        const winsize size = Screen::size();
        Screen::draw(top_frame(
            {.title = title,
             .before = *before,
             .now = *now,
             .width = size.ws_col,
             .height = size.ws_row}
        ));
        const double until = now->time_s + interval_s;
        auto heard = Screen::Heard::nothing;
        for (double left = until - seconds_now(); heard == Screen::Heard::nothing && left > 0;
             left = until - seconds_now())
            heard = screen.wait(static_cast<int>(left * 1e3) + 1);
        if (heard == Screen::Heard::end)
            break;
        if (heard == Screen::Heard::resize) // the same figures on the new screen
            continue;
        before = std::exchange(now, read_counters(weft, arguments));
        interval_s = top.interval_ms / 1e3;
    }
}

} // namespace

Exit run(const Arguments& arguments, const Top& top) {
    Caller weft{arguments};
    const auto title = title_of(weft, arguments);
    if (!title)
        return weft.exit();
    if (top.once || arguments.json)
        return once(weft, arguments, top, *title);
    if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
        complain("top needs a terminal; top --once prints one screen anywhere");
        return Exit::usage;
    }
    weft.complain_later();
    live(weft, arguments, top, *title);
    weft.complain_now();
    return weft.exit();
}

} // namespace weft::ctl
