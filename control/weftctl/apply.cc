#include "control/codec_json.hh"
#include "control/ddlog_text.hh"
#include "control/weftctl/caller.hh"
#include "control/weftctl/commands.hh"
#include "control/weftctl/line_source.hh"

#include <cstdio>
#include <deque>
#include <optional>
#include <utility>

namespace weft::ctl {

namespace {

/// Rows of one part of a large transaction: well below the largest frame.
constexpr std::size_t part_ops_max = 20'000;
constexpr std::size_t part_bytes_max = std::size_t{4} << 20;

bool is_nothing(std::string_view line) {
    const std::size_t at = line.find_first_not_of(" \t\r");
    return at == std::string_view::npos || line[at] == '#';
}

/// One run of `apply` in JSON lines.
class JsonRun {
public:
    JsonRun(const Arguments& arguments, LineSource& source)
        : source_{source},
          weft_{arguments, Encoding::json} {
        if (arguments.client.empty())
            return;
        control::Request hello;
        hello.mutable_hello()->set_client(arguments.client);
        hello_ = to_json(hello);
    }

    Exit run() {
        // What is there is sent at once; before waiting for more, all of it is answered, for
        // whoever types or pipes and reads.
        for (bool more = true; more && !weft_.failed();) {
            bool sent = false;
            auto done = weft_.client().exchange(
                [&]() -> std::optional<std::string> {
                    if (sent && !source_.ready())
                        return std::nullopt;
                    sent = true;
                    auto line = next();
                    more = line.has_value();
                    return line;
                },
                [&](std::string_view line) { take(line); }
            );
            std::fflush(stdout);
            if (!done && refused_) // after an error weftd closes the connection
                break;
            if (!done)
                weft_.fail_with(done.error());
        }
        return weft_.failed() ? weft_.exit() : refused_ ? Exit::refused : Exit::done;
    }

private:
    std::optional<std::string> next() {
        if (auto hello = std::exchange(hello_, std::nullopt)) {
            owed_.push_back(0);
            return hello;
        }
        while (auto line = source_.next())
            if (!is_nothing(*line)) {
                line->erase(
                    0, line->find_first_not_of(" \t\r")
                ); // weftd tells the encoding by the first byte
                owed_.push_back(source_.line_number());
                return line;
            }
        return std::nullopt;
    }

    void take(std::string_view line) {
        const bool is_reply = !line.starts_with("{\"event\"") && !owed_.empty();
        const std::size_t of = is_reply ? owed_.front() : 0;
        if (is_reply)
            owed_.pop_front();
        if (line.starts_with("{\"nak\"") || line.starts_with("{\"error\"")) {
            refused_ = true;
            print(std::string{line} + '\n');
            complain(of == 0 ? "refused" : "line " + std::to_string(of) + " was refused");
        } else if (!(is_reply && of == 0)) { // nobody asked for our hello's answer
            print(std::string{line} + '\n');
        }
    }

    LineSource& source_;
    Caller weft_;
    std::optional<std::string> hello_;
    std::deque<std::size_t> owed_; // line numbers of requests without a reply; 0: our hello
    bool refused_ = false;
};

/// One transaction, however many parts it takes.
Exit apply_ops(const Arguments& arguments, std::vector<control::Op> ops) {
    Caller weft{arguments};
    const std::string id = unique_id();
    for (std::size_t at = 0;;) {
        control::Request request;
        control::Transaction& part = *request.mutable_transaction();
        part.set_id(id);
        std::size_t bytes = 0;
        for (std::size_t count = 0;
             at < ops.size() && count < part_ops_max && bytes < part_bytes_max;
             ++at, ++count) {
            bytes += ops[at].ByteSizeLong();
            *part.add_ops() = std::move(ops[at]);
        }
        part.set_more(at < ops.size());
        const bool more = part.more();
        const auto reply =
            weft.ask(std::move(request), more ? control::Reply::kDone : control::Reply::kAck);
        if (!reply)
            return weft.exit();
        if (!more) {
            print_json(*reply);
            return Exit::done;
        }
    }
}

} // namespace

Exit run(const Arguments& arguments, const Apply& apply) {
    auto source = LineSource::open(apply.file);
    if (!source) {
        complain(source.error().what);
        return Exit::usage;
    }
    if (apply.format != "ddlog")
        return JsonRun{arguments, *source}.run();
    auto ops = parse_ddlog_text(source->rest());
    if (!ops) {
        complain(ops.error().what);
        return Exit::refused;
    }
    return apply_ops(arguments, std::move(*ops));
}

} // namespace weft::ctl
