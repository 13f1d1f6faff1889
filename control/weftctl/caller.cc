#include "control/weftctl/caller.hh"

#include "control/codec_json.hh"
#include "control/weftctl/text_table.hh"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <utility>

namespace weft::ctl {

Caller::Caller(const Arguments& arguments, Encoding encoding) : json_{arguments.json} {
    auto connected = Client::connect(arguments.socket, encoding);
    if (!connected) {
        fail_with(connected.error());
        return;
    }
    client_ = std::move(*connected);
    client_->set_timeout(std::chrono::milliseconds{arguments.timeout_ms});
    if (arguments.client.empty() || encoding != Encoding::binary)
        return;
    control::Request hello;
    hello.mutable_hello()->set_client(arguments.client);
    ask(std::move(hello), control::Reply::kHello);
}

std::optional<control::Reply>
Caller::ask(control::Request request, control::Reply::ReplyCase wanted) {
    if (failed())
        return std::nullopt;
    auto reply = client_->request(std::move(request));
    if (!reply) {
        fail_with(reply.error());
        return std::nullopt;
    }
    if (reply->reply_case() == wanted)
        return std::move(*reply);
    if (reply->has_nak())
        refuse(reply->nak());
    else if (reply->has_error())
        fail_with({"malformed", "weftd says: " + printable(reply->error().message())});
    else
        fail_with({"malformed", "weftd sent a reply to something else"});
    return std::nullopt;
}

std::optional<control::Event> Caller::next_event() {
    if (failed())
        return std::nullopt;
    client_->set_timeout(std::nullopt);
    auto event = client_->next_event();
    if (event)
        return std::move(*event);
    fail_with(event.error());
    return std::nullopt;
}

void Caller::fail_with(const Error& error) {
    if (later_)
        kept_ = error.what;
    else
        complain(error.what);
    exit_ = Exit::no_connection;
}

void Caller::complain_now() {
    later_ = false;
    if (!kept_.empty())
        complain(std::exchange(kept_, {}));
}

void Caller::refuse(const control::Nak& nak) {
    if (json_) {
        control::Reply reply;
        *reply.mutable_nak() = nak;
        print_json(reply);
    } else if (later_) {
        kept_ = nak_text(nak);
    } else {
        complain(nak_text(nak));
    }
    exit_ = Exit::refused;
}

void complain(std::string_view sentence) {
    std::fflush(stdout);
    std::fprintf(stderr, "weftctl: %s\n", printable(sentence).c_str());
}

void print(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
        std::exit(static_cast<int>(Exit::refused)); // whoever read has gone, or the disk is full
}

void print_json(const google::protobuf::Message& message) {
    print(to_json(message) + '\n');
}

std::string unique_id() {
    std::random_device random;
    char text[32];
    std::snprintf(text, sizeof text, "weftctl-%08x%08x", random(), random());
    return text;
}

std::string nak_text(const control::Nak& nak) {
    std::string text = nak.code() + ": ";
    if (nak.has_op())
        text += "op " + std::to_string(nak.op()) + ": ";
    if (nak.has_path())
        text += nak.path() + ": ";
    return text + nak.message();
}

} // namespace weft::ctl
