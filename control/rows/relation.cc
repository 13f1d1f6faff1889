#include "control/rows/relation.hh"

#include "base/check.hh"

#include <cstring>

namespace weft {

namespace {

struct KeyShape {
    std::string_view name;
    std::uint32_t key_fields; // fields 1 to key_fields are the key
};

constexpr std::array<KeyShape, relation_count> shapes = {{
    {"bridge", 1},
    {"port", 2},
    {"table", 2},
    {"flow", 4},
    {"group", 2},
    {"meter", 2},
}};

const KeyShape& shape(Relation relation) noexcept {
    return shapes[static_cast<std::size_t>(relation)];
}

/// Reads the fields of a serialised message that we made ourselves: varints and strings.
class FieldReader {
public:
    explicit FieldReader(std::string_view bytes) noexcept : bytes_{bytes} {}

    bool next() noexcept {
        start_ = at_;
        if (at_ >= bytes_.size())
            return false;
        const std::uint64_t tag = varint();
        field_ = static_cast<std::uint32_t>(tag >> 3);
        if ((tag & 7) == 2) {
            const std::uint64_t size = varint();
            dcheck(size <= bytes_.size() - at_);
            text_ = bytes_.substr(at_, size);
            at_ += size;
        } else {
            number_ = varint();
        }
        return true;
    }
    std::size_t start() const noexcept { return start_; }
    std::uint32_t field() const noexcept { return field_; }
    std::uint32_t number() const noexcept { return static_cast<std::uint32_t>(number_); }
    std::string_view text() const noexcept { return text_; }

private:
    std::uint64_t varint() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; at_ < bytes_.size() && shift < 64; shift += 7) {
            const auto byte = static_cast<unsigned char>(bytes_[at_++]);
            value |= std::uint64_t{byte & 0x7fu} << shift;
            if (byte < 0x80)
                break;
        }
        return value;
    }

    std::string_view bytes_;
    std::size_t at_ = 0;
    std::size_t start_ = 0;
    std::uint32_t field_ = 0;
    std::uint64_t number_ = 0;
    std::string_view text_;
};

void parse(google::protobuf::MessageLite& into, std::string_view bytes) {
    check(into.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
}

} // namespace

std::string_view name(Relation relation) noexcept {
    return shape(relation).name;
}

std::optional<Relation> relation_from(std::string_view name) noexcept {
    for (const Relation relation : relations)
        if (shape(relation).name == name)
            return relation;
    return std::nullopt;
}

std::optional<Relation> relation_of(const control::Op& op) noexcept {
    switch (op.row_case()) {
    case control::Op::kBridge:
        return Relation::bridge;
    case control::Op::kPort:
        return Relation::port;
    case control::Op::kTable:
        return Relation::table;
    case control::Op::kFlow:
        return Relation::flow;
    case control::Op::kGroup:
        return Relation::group;
    case control::Op::kMeter:
        return Relation::meter;
    case control::Op::ROW_NOT_SET:
        break;
    }
    return std::nullopt;
}

std::size_t key_bytes(Relation relation, std::string_view row) noexcept {
    FieldReader fields{row};
    while (fields.next())
        if (fields.field() > shape(relation).key_fields)
            return fields.start();
    return row.size();
}

KeyView key_view(Relation relation, std::string_view bytes) noexcept {
    KeyView key;
    FieldReader fields{bytes};
    while (fields.next() && fields.field() <= shape(relation).key_fields) {
        if (fields.field() == 1)
            key.bridge = fields.text();
        else if (fields.field() == 2 && relation == Relation::port)
            key.name = fields.text();
        else if (fields.field() == 2)
            key.number = fields.number();
        else if (fields.field() == 3)
            key.priority = fields.number();
        else
            key.match = fields.text();
    }
    if (relation == Relation::bridge)
        key.name = key.bridge;
    return key;
}

std::string describe(Relation relation, std::string_view bytes, bool with_match) {
    constexpr std::size_t match_shown_max = 120;
    const KeyView key = key_view(relation, bytes);
    std::string text;
    if (relation != Relation::bridge && !key.bridge.empty())
        text = "bridge \"" + std::string{key.bridge} + "\" ";
    text += name(relation);
    switch (relation) {
    case Relation::bridge:
    case Relation::port:
        return text + " \"" + std::string{key.name} + "\"";
    case Relation::flow:
        text +=
            " table " + std::to_string(key.number) + " priority " + std::to_string(key.priority);
        if (!with_match)
            return text;
        text += " match " + std::string{key.match.substr(0, match_shown_max)};
        return key.match.size() > match_shown_max ? text + "..." : text;
    case Relation::table:
    case Relation::group:
    case Relation::meter:
    case Relation::count_:
        break;
    }
    return text + " " + std::to_string(key.number);
}

control::Row to_message(Relation relation, std::string_view bytes) {
    control::Row row;
    switch (relation) {
    case Relation::bridge:
        parse(*row.mutable_bridge(), bytes);
        break;
    case Relation::port:
        parse(*row.mutable_port(), bytes);
        break;
    case Relation::table:
        parse(*row.mutable_table(), bytes);
        break;
    case Relation::flow:
        parse(*row.mutable_flow(), bytes);
        break;
    case Relation::group:
        parse(*row.mutable_group(), bytes);
        break;
    case Relation::meter:
        parse(*row.mutable_meter(), bytes);
        break;
    case Relation::count_:
        break;
    }
    return row;
}

std::uint64_t row_hash(std::string_view bytes, std::uint64_t seed) noexcept {
    constexpr std::uint64_t odd = 0x9e37'79b9'7f4a'7c15u;
    std::uint64_t hash = seed ^ odd;
    const auto add = [&](std::uint64_t word) {
        hash = (hash ^ word) * odd;
        hash ^= hash >> 32;
    };
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
        std::uint64_t word; // little-endian, as this machine is
        std::memcpy(&word, bytes.data() + at, 8);
        add(word);
    }
    std::uint64_t last = 0;
    std::memcpy(&last, bytes.data() + at, bytes.size() - at);
    add(last);
    add(bytes.size());
    hash *= 0xff51'afd7'ed55'8ccdu;
    return hash ^ hash >> 32;
}

} // namespace weft
