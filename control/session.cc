#include "control/session.hh"

#include "base/check.hh"
#include "control/codec_binary.hh"

namespace weft {

void OrderedSession::begin_request() {
    check(!in_request_);
    slots_.emplace_back();
    in_request_ = true;
}

void OrderedSession::end_request() {
    check(!in_request_);
}

void OrderedSession::send(const control::Reply& reply) {
    check(in_request_);
    in_request_ = false;
    answer(first_ + slots_.size() - 1, reply);
}

Ticket OrderedSession::defer() {
    check(in_request_);
    in_request_ = false;
    return Ticket{first_ + slots_.size() - 1};
}

void OrderedSession::send(Ticket ticket, const control::Reply& reply) {
    answer(static_cast<std::uint64_t>(ticket), reply);
}

void OrderedSession::event(const control::Reply& reply) {
    deliver_event(encode(peer().encoding, reply), reply.event().seq());
}

void OrderedSession::answer(std::uint64_t place, const control::Reply& reply) {
    check(place >= first_ && place - first_ < slots_.size());
    Slot& slot = slots_[place - first_];
    check(!slot.answered);
    slot = {.answered = true, .frame = encode(peer().encoding, reply)};
    waiting_bytes_ += slot.frame.size();
    while (!slots_.empty() && slots_.front().answered) {
        std::string frame = std::move(slots_.front().frame);
        waiting_bytes_ -= frame.size();
        slots_.pop_front();
        ++first_;
        deliver(std::move(frame));
    }
}

void LocalSession::line(Service& service, std::string_view line) {
    Decoded decoded = decode(Encoding::json, line);
    if (auto* wanted = std::get_if<control::Request>(&decoded))
        return request(service, *wanted);
    if (auto* nak = std::get_if<control::Nak>(&decoded))
        return refuse(service, *nak);
    control::Reply reply;
    *reply.mutable_error() = std::move(std::get<control::Failure>(decoded));
    replies_.push_back(std::move(reply));
}

void LocalSession::request(Service& service, control::Request& request) {
    begin_request();
    service.handle(*this, request);
    end_request();
}

void LocalSession::refuse(Service& service, const control::Nak& nak) {
    begin_request();
    service.refuse(*this, nak);
    end_request();
}

void LocalSession::keep(std::string_view frame) {
    while (static_cast<unsigned char>(frame.front()) >= 0x80) // the length, which we know
        frame.remove_prefix(1);
    frame.remove_prefix(1);
    check(replies_.emplace_back().ParseFromArray(frame.data(), static_cast<int>(frame.size())));
}

} // namespace weft
