#include "control/codec_binary.hh"
#include "control/codec_json.hh"

#include <gtest/gtest.h>

#include <fstream>
#include <google/protobuf/util/json_util.h>
#include <random>
#include <sstream>

namespace weft {
namespace {

control::Request good(const Decoded& decoded) {
    if (const auto* nak = std::get_if<control::Nak>(&decoded))
        ADD_FAILURE() << nak->ShortDebugString();
    if (const auto* failure = std::get_if<control::Failure>(&decoded))
        ADD_FAILURE() << failure->message();
    const auto* request = std::get_if<control::Request>(&decoded);
    return request ? *request : control::Request{};
}

/// "op code path" of a NAK, with - for what is absent.
std::string refusal(const Decoded& decoded) {
    if (std::holds_alternative<control::Request>(decoded) ||
        std::holds_alternative<control::Request*>(decoded))
        return "accepted";
    const auto* nak = std::get_if<control::Nak>(&decoded);
    if (!nak)
        return "failure: " + std::get<control::Failure>(decoded).message();
    EXPECT_FALSE(nak->message().empty());
    EXPECT_TRUE(is_utf8(nak->message()));
    return (nak->has_op() ? std::to_string(nak->op()) : "-") + " " + nak->code() + " " +
           (nak->has_path() ? nak->path() : "-");
}

std::string refusal(std::string_view line) {
    return refusal(decode_json_line(line));
}

std::string op_refusal(const std::string& op) {
    const Decoded decoded = decode_json_line(
        R"({"transaction": {"id": "t", "ops": [{"weight": 1, "table": {}}, )" + op + "]}}"
    );
    if (const auto* nak = std::get_if<control::Nak>(&decoded)) {
        EXPECT_EQ(nak->id(), "t");
    }
    return refusal(decoded);
}

/// Field `number` with wire type 2 around `bytes`.
std::string wrapped(unsigned number, const std::string& bytes) {
    std::string out;
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.size());
    return out + bytes;
}

std::string varint_field(unsigned number, std::uint64_t value) {
    std::string out;
    put_varint(out, number << 3);
    put_varint(out, value);
    return out;
}

/// A transaction "t" whose op 1 has these bytes.
std::string binary_op(const std::string& op) {
    const std::string fine = varint_field(1, 2) + wrapped(12, "");
    return wrapped(2, wrapped(1, "t") + wrapped(6, fine) + wrapped(6, op));
}

std::string binary_refusal(const std::string& frame) {
    google::protobuf::Arena arena;
    const Decoded decoded = decode_binary(frame);
    EXPECT_EQ(refusal(decoded), refusal(decode_binary(frame, &arena)));
    if (const auto* nak = std::get_if<control::Nak>(&decoded); nak && frame.size() > 4) {
        EXPECT_EQ(nak->id(), "t");
    }
    return refusal(decoded);
}

TEST(JsonCodec, reads_the_transaction_of_the_design) {
    const auto request = good(decode_json_line(
        R"({"transaction": {"id": "t1", "strict": true, "ops": [{"weight": 1, "flow": {"table": 0, "priority": 100,)"
        R"( "match": "ip4.dst == 10.10.10.102", "actions": "output(\"p3\");"}}]}})"
    ));
    ASSERT_EQ(request.transaction().ops_size(), 1);
    EXPECT_TRUE(request.transaction().strict());
    const auto& op = request.transaction().ops(0);
    EXPECT_EQ(op.weight(), 1);
    EXPECT_EQ(op.flow().priority(), 100U);
    EXPECT_EQ(op.flow().actions(), "output(\"p3\");");
}

TEST(JsonCodec, prints_replies_with_zeros_and_without_what_is_absent) {
    control::Reply reply;
    reply.mutable_ack()->set_id("t1");
    reply.mutable_ack()->set_generation(7);
    reply.mutable_ack()->set_added(1);
    EXPECT_EQ(
        encode_json(reply),
        "{\"ack\": {\"id\": \"t1\", \"generation\": \"7\", \"added\": 1, \"removed\": 0, "
        "\"unchanged\": 0}}\n"
    );
    reply.mutable_ack()->set_dup(true);
    EXPECT_NE(encode_json(reply).find("\"unchanged\": 0, \"dup\": true}"), std::string::npos);
}

TEST(JsonCodec, prints_maps_sorted_bytes_as_base64_and_text_escaped) {
    control::Reply reply;
    auto& packet = *reply.mutable_event()->mutable_packet_in();
    (*packet.mutable_metadata())["reg1"] = "a\"b\\\n\x01";
    (*packet.mutable_metadata())["reg0"] = "1";
    packet.set_packet("\x01\x02\xff\xfe");
    packet.set_userdata("abc");
    packet.set_port("p\xff");
    const std::string text = encode_json(reply);
    EXPECT_NE(
        text.find(R"("metadata": {"reg0": "1", "reg1": "a\"b\\\n\u0001"})"), std::string::npos
    ) << text;
    EXPECT_NE(text.find(R"("packet": "AQL//g==")"), std::string::npos) << text;
    EXPECT_NE(text.find(R"("userdata": "YWJj")"), std::string::npos) << text;
    EXPECT_NE(text.find(R"("port": "p\ufffd")"), std::string::npos) << text;
}

TEST(JsonCodec, reads_numbers_in_every_form_of_the_mapping) {
    const auto read = [](const std::string& number) {
        return good(decode_json_line(R"({"barrier": {"generation": )" + number + "}}"))
            .barrier()
            .generation();
    };
    EXPECT_EQ(read("123"), 123U);
    EXPECT_EQ(read("\"123\""), 123U);
    EXPECT_EQ(read("1.0"), 1U);
    EXPECT_EQ(read("1e3"), 1000U);
    EXPECT_EQ(read("18446744073709551615"), 18446744073709551615U);
    EXPECT_EQ(read("\"18446744073709551615\""), 18446744073709551615U);
    EXPECT_EQ(read("null"), 0U);
    const auto op =
        good(decode_json_line(R"({"transaction": {"ops": [{"weight": "-2", "flow": {}}]}})"));
    EXPECT_EQ(op.transaction().ops(0).weight(), -2);
}

TEST(JsonCodec, reads_camel_case_names_and_base64_with_and_without_padding) {
    EXPECT_EQ(
        good(decode_json_line(R"({"barrier": {"timeoutMs": 5}})")).barrier().timeout_ms(), 5U
    );
    EXPECT_EQ(
        good(decode_json_line(R"({"packetOut": {"packet": "AQL//g=="}})")).packet_out().packet(),
        "\x01\x02\xff\xfe"
    );
    EXPECT_EQ(
        good(decode_json_line(R"({"packet_out": {"packet": "AQL__g"}})")).packet_out().packet(),
        "\x01\x02\xff\xfe"
    );
    EXPECT_EQ(refusal(R"({"packet_out": {"packet": "AQL/*g=="}})"), "- bad_value packet");
    EXPECT_EQ(refusal(R"({"packet_out": {"packet": "AQLfa"}})"), "- bad_value packet");
}

TEST(JsonCodec, null_is_as_if_the_key_were_not_there) {
    const auto request = good(decode_json_line(
        R"({"transaction": {"id": null, "ops": [{"weight": 1, "flow": {"table": 1}, "port": null}]}})"
    ));
    EXPECT_TRUE(request.transaction().ops(0).has_flow());
    EXPECT_EQ(refusal(R"({"transaction": {"ops": [null]}})"), "0 bad_type -");
    EXPECT_EQ(refusal(R"({"get": null})"), "- unknown_request -");
}

TEST(JsonCodec, names_what_is_wrong_with_an_op_by_index_and_path) {
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "flow": {"priorty": 1}})"), "1 unknown_field flow.priorty"
    );
    EXPECT_EQ(op_refusal(R"({"wieght": 1, "flow": {}})"), "1 unknown_field wieght");
    EXPECT_EQ(op_refusal(R"({"weight": 1, "flows": {}})"), "1 unknown_relation flows");
    EXPECT_EQ(op_refusal(R"({"weight": 1, "port_status": {}})"), "1 unknown_relation port_status");
    EXPECT_EQ(op_refusal(R"({"weight": 1})"), "1 unknown_relation -");
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "flow": {"priority": "high"}})"), "1 bad_type flow.priority"
    );
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "flow": {"priority": 1.5}})"), "1 bad_type flow.priority"
    );
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "flow": {"priority": [1]}})"), "1 bad_type flow.priority"
    );
    EXPECT_EQ(op_refusal(R"({"weight": 1, "flow": {"match": 1}})"), "1 bad_type flow.match");
    EXPECT_EQ(op_refusal(R"({"weight": 1, "flow": {"match": {}}})"), "1 bad_type flow.match");
    EXPECT_EQ(op_refusal(R"({"weight": 1, "flow": "ip4"})"), "1 bad_type flow");
    EXPECT_EQ(op_refusal(R"({"weight": 1, "port": {"hold": 1}})"), "1 bad_type port.hold");
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "flow": {"priority": 4294967296}})"),
        "1 out_of_range flow.priority"
    );
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "flow": {"priority": -1}})"), "1 out_of_range flow.priority"
    );
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "flow": {"cookie": 18446744073709551616}})"),
        "1 out_of_range flow.cookie"
    );
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "flow": {"cookie": "18446744073709551616"}})"),
        "1 out_of_range flow.cookie"
    );
    EXPECT_EQ(
        op_refusal(R"({"weight": 9223372036854775808, "flow": {}})"), "1 out_of_range weight"
    );
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "flow": {"priority": 1e999}})"), "1 out_of_range flow.priority"
    );
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "flow": {"table": 1, "table": 1}})"),
        "1 duplicate_field flow.table"
    );
    EXPECT_EQ(op_refusal(R"({"weight": 1, "flow": {}, "port": {}})"), "1 duplicate_field port");
    EXPECT_EQ(op_refusal(R"({"flow": {}})"), "1 no_weight weight");
    EXPECT_EQ(op_refusal(R"({"weight": 0, "flow": {}})"), "1 no_weight weight");
    EXPECT_EQ(op_refusal(R"({"verb": "insert", "flow": {}})"), "1 bad_verb verb");
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "group": {"buckets": [{}, {"wait": 1}]}})"),
        "1 unknown_field group.buckets[1].wait"
    );
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "port": {"vlan_trunks": [1, "x"]}})"),
        "1 bad_type port.vlan_trunks[1]"
    );
    EXPECT_EQ(
        op_refusal(R"({"weight": 1, "port": {"vlan_trunks": 1}})"), "1 bad_type port.vlan_trunks"
    );
    EXPECT_EQ(op_refusal("17"), "1 bad_type -");
    EXPECT_EQ(op_refusal("[]"), "1 bad_type -");
    EXPECT_EQ(op_refusal(R"({"verb": "upsert", "flow": {}})"), "accepted");
}

TEST(JsonCodec, names_what_is_wrong_with_a_request_outside_its_ops) {
    EXPECT_EQ(refusal("{}"), "- unknown_request -");
    EXPECT_EQ(refusal(R"({"gimme": {"id": "x"}})"), "- unknown_request -");
    EXPECT_EQ(refusal(R"({"get": {}, "stats": {}})"), "- duplicate_field -");
    EXPECT_EQ(refusal("[]"), "- malformed -");
    EXPECT_EQ(refusal("17"), "- malformed -");
    EXPECT_EQ(refusal(R"("get")"), "- malformed -");
    EXPECT_EQ(refusal(R"({"get": 5})"), "- bad_type -");
    EXPECT_EQ(refusal(R"({"get": {"relaton": "flow"}})"), "- unknown_field relaton");
    EXPECT_EQ(
        refusal(R"({"transaction": {"replace": {"scop": "x"}}})"), "- unknown_field replace.scop"
    );
    EXPECT_EQ(refusal(R"({"transaction": {"ops": {}}})"), "- bad_type ops");
    EXPECT_EQ(refusal(R"({"transaction": {"more": "yes"}})"), "- bad_type more");
}

TEST(JsonCodec, finds_the_id_behind_the_mistake) {
    const auto id = [](std::string_view line) {
        return std::get<control::Nak>(decode_json_line(line)).id();
    };
    EXPECT_EQ(
        id(R"({"transaction": {"ops": [{"flow": {"id": "no", "x": [{"id": "no"}]}}], "id": "yes"}})"
        ),
        "yes"
    );
    EXPECT_EQ(id(R"({"get": {"id": "yes", "x": {"id": "no"}}})"), "yes");
    EXPECT_EQ(id(R"({"gimme": {"x": 1, "id": "yes"}})"), "yes");
    EXPECT_EQ(id(R"({"gimme": {"id": 1}})"), "");
}

TEST(JsonCodec, what_is_not_json_is_a_failure_with_its_place) {
    const auto why = [](std::string_view line) {
        const Decoded decoded = decode_json_line(line);
        const auto* failure = std::get_if<control::Failure>(&decoded);
        return failure ? failure->message() : "no failure";
    };
    EXPECT_NE(why(R"({"get": })").find("column 9"), std::string::npos) << why(R"({"get": })");
    EXPECT_NE(why(R"({"get": {"id": "a"})"), "no failure");
    EXPECT_NE(why(R"({"get": {}} x)"), "no failure");
    EXPECT_NE(why("{\"get\": {\"id\": \"\xff\"}}"), "no failure");
    EXPECT_NE(
        why(R"({"nonsense": {}, "get": )"), "no failure"
    ); // a fault before it changes nothing
    EXPECT_NE(why(std::string(100'000, '[')), "no failure");
    EXPECT_LT(why("{\"" + std::string(100'000, 'a')).size(), 400U);
}

TEST(JsonCodec, deep_nesting_costs_no_stack) {
    const std::string deep(1 << 20, '[');
    EXPECT_EQ(
        refusal(R"({"get": {"id": )" + deep + std::string(1 << 20, ']') + "}}"), "- bad_type id"
    );
}

TEST(BinaryCodec, reads_what_protobuf_writes) {
    control::Request request;
    auto& transaction = *request.mutable_transaction();
    transaction.set_id("t");
    auto& op = *transaction.add_ops();
    op.set_weight(-3);
    op.mutable_port()->set_name("p");
    op.mutable_port()->add_vlan_trunks(7);
    op.mutable_port()->add_vlan_trunks(4095);
    EXPECT_EQ(
        good(decode_binary(request.SerializeAsString())).DebugString(), request.DebugString()
    );
}

TEST(BinaryCodec, reads_the_same_into_an_arena) {
    google::protobuf::Arena arena;
    for (unsigned ops = 0; ops < 100; ops += 33) {
        control::Request request;
        request.mutable_transaction()->set_id("a name that is too long to lie in the string itself"
        );
        for (unsigned i = 0; i < ops; ++i) {
            control::Op& op = *request.mutable_transaction()->add_ops();
            op.set_weight(1);
            op.mutable_flow()->set_priority(i);
            op.mutable_flow()->set_match("eth.dst == 02:00:00:00:00:" + std::to_string(10 + i));
        }
        Decoded decoded = decode_binary(request.SerializeAsString(), &arena);
        const control::Request* made = request_of(decoded);
        ASSERT_NE(made, nullptr);
        EXPECT_EQ(made->GetArena(), &arena);
        EXPECT_EQ(made->SerializeAsString(), request.SerializeAsString());
        arena.Reset();
    }
}

TEST(BinaryCodec, names_what_is_wrong_with_an_op_by_index_and_path) {
    const std::string weight = varint_field(1, 2);
    EXPECT_EQ(
        binary_refusal(binary_op(weight + wrapped(13, varint_field(99, 1)))),
        "1 unknown_field flow.99"
    );
    EXPECT_EQ(binary_refusal(binary_op(weight + varint_field(9, 1))), "1 unknown_field 9");
    EXPECT_EQ(binary_refusal(binary_op(weight + wrapped(99, ""))), "1 unknown_relation 99");
    EXPECT_EQ(binary_refusal(binary_op(weight)), "1 unknown_relation -");
    EXPECT_EQ(
        binary_refusal(binary_op(weight + wrapped(13, varint_field(3, 1ULL << 32)))),
        "1 out_of_range flow.priority"
    );
    EXPECT_EQ(
        binary_refusal(binary_op(weight + wrapped(11, varint_field(14, 2)))),
        "1 out_of_range port.hold"
    );
    EXPECT_EQ(
        binary_refusal(binary_op(
            weight + wrapped(11, wrapped(11, varint_field(0, 1).substr(1) + std::string(5, '\x7f')))
        )),
        "accepted"
    );
    EXPECT_EQ(
        binary_refusal(binary_op(weight + wrapped(11, wrapped(11, "\xff\xff\xff\xff\xff\x01")))),
        "1 out_of_range port.vlan_trunks"
    );
    EXPECT_EQ(
        binary_refusal(binary_op(weight + wrapped(13, varint_field(4, 1)))), "1 bad_type flow.match"
    );
    EXPECT_EQ(
        binary_refusal(binary_op(weight + wrapped(13, wrapped(4, "\xff")))),
        "1 bad_value flow.match"
    );
    EXPECT_EQ(
        binary_refusal(binary_op(weight + wrapped(13, "") + wrapped(11, ""))),
        "1 duplicate_field port"
    );
    EXPECT_EQ(
        binary_refusal(binary_op(weight + weight + wrapped(13, ""))), "1 duplicate_field weight"
    );
    EXPECT_EQ(binary_refusal(binary_op(wrapped(13, ""))), "1 no_weight weight");
    EXPECT_EQ(binary_refusal(binary_op(wrapped(2, "insert") + wrapped(13, ""))), "1 bad_verb verb");
    EXPECT_EQ(binary_refusal(binary_op(weight + wrapped(13, "\x20"))), "1 malformed flow");
    EXPECT_EQ(binary_refusal(binary_op(wrapped(2, "delete") + wrapped(13, ""))), "accepted");
}

/// Actions hold actions: nothing that is decoded, printed or thrown away may go deeper than a
/// stack.
TEST(Codecs, refuse_messages_that_are_nested_without_end) {
    std::string json, binary;
    for (int i = 0; i < 100'000; ++i)
        json += R"({"actions": [{"clone": )";
    EXPECT_TRUE(
        refusal(
            R"({"transaction": {"id": "t", "ops": [{"weight": 1, "flow": {"action_list": )" + json
        )
            .starts_with("failure: parse error")
    ) << "it is no JSON after all";
    std::string closed = json + "{}";
    for (int i = 0; i < 100'000; ++i)
        closed += "}]}";
    EXPECT_EQ(
        refusal(
            R"({"transaction": {"id": "t", "ops": [{"weight": 1, "flow": {"action_list": )" +
            closed + "}}]}}"
        )
            .substr(0, 18),
        "0 too_many_actions"
    );
    for (int i = 0; i < 2'000; ++i)
        binary = wrapped(1, wrapped(12, binary));
    EXPECT_EQ(
        binary_refusal(binary_op(varint_field(1, 2) + wrapped(13, wrapped(10, binary))))
            .substr(0, 18),
        "1 too_many_actions"
    );
}

TEST(BinaryCodec, names_what_is_wrong_with_a_request_outside_its_ops) {
    EXPECT_EQ(binary_refusal(""), "- unknown_request -");
    EXPECT_EQ(binary_refusal("\xff"), "- malformed -");
    EXPECT_EQ(binary_refusal(wrapped(99, wrapped(1, "t"))), "- unknown_request -");
    EXPECT_EQ(binary_refusal(wrapped(3, wrapped(1, "t")) + wrapped(3, "")), "- malformed -");
    EXPECT_EQ(binary_refusal(wrapped(3, wrapped(1, "t") + wrapped(42, ""))), "- unknown_field 42");
    EXPECT_EQ(
        binary_refusal(wrapped(2, wrapped(1, "t") + wrapped(5, varint_field(9, 1)))),
        "- unknown_field replace.9"
    );
    EXPECT_EQ(
        binary_refusal(wrapped(
            3,
            wrapped(1, "t") + "\x12\x05"
                              "ab"
        )),
        "- malformed -"
    );
}

/// Both encodings of one request mean the same: what JSON accepts, printed by us, comes back as the
/// same message; what protobuf's own JSON reader makes of it is the same too.
TEST(Codecs, agree_with_each_other_and_with_protobuf_on_random_requests) {
    const std::uint64_t seed = 1;
    std::mt19937_64 random{seed};
    const auto word = [&] {
        static const char* const words[] = {
            "",
            "p1",
            "ip4.dst == 10.0.0.1",
            "\"quoted\" \\ \n\t",
            "gr\xc3\xbc\xc3\x9f",
            "output(\"p1\");"};
        return std::string{words[random() % std::size(words)]};
    };
    for (int round = 0; round < 500; ++round) {
        control::Request request;
        auto& transaction = *request.mutable_transaction();
        transaction.set_id(word());
        transaction.set_strict(random() % 2 == 0);
        for (std::uint64_t i = random() % 5; i > 0; --i) {
            auto& op = *transaction.add_ops();
            op.set_weight(static_cast<std::int64_t>(random() >> 1) * (random() % 2 ? 1 : -1) - 1);
            if (random() % 2) {
                op.mutable_flow()->set_match(word());
                op.mutable_flow()->set_cookie(random());
                op.mutable_flow()->set_priority(static_cast<std::uint32_t>(random()));
            } else {
                auto& bucket = *op.mutable_group()->add_buckets();
                bucket.set_actions(word());
                op.mutable_group()->add_hash_fields(word());
            }
        }
        const std::string text = to_json(request);
        control::Request by_protobuf;
        ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(text, &by_protobuf).ok()) << text;
        EXPECT_EQ(by_protobuf.SerializeAsString(), request.SerializeAsString()) << "seed " << seed;
        EXPECT_EQ(good(decode_json_line(text)).SerializeAsString(), request.SerializeAsString())
            << text;
        EXPECT_EQ(
            good(decode_binary(request.SerializeAsString())).SerializeAsString(),
            request.SerializeAsString()
        );
    }
}

/// Fenced blocks of docs/control-protocol.md of one kind, each with its line number.
struct Block {
    std::string kind;
    std::string text;
    int line = 0;
};

std::vector<Block> blocks_of_the_documentation() {
    const char* docs = std::getenv("WEFT_DOCS");
    std::ifstream file{std::string{docs ? docs : "docs"} + "/control-protocol.md"};
    std::vector<Block> blocks;
    bool inside = false;
    int number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        if (line.starts_with("```")) {
            inside = !inside;
            if (inside)
                blocks.push_back({line.substr(3), "", number});
        } else if (inside) {
            blocks.back().text += line + "\n";
        }
    }
    return blocks;
}

TEST(Documentation, every_worked_request_decodes_or_is_refused_as_it_says) {
    std::set<std::string> kinds;
    const auto blocks = blocks_of_the_documentation();
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        if (blocks[i].kind != "request")
            continue;
        const Decoded decoded = decode_json_line(blocks[i].text);
        ASSERT_LT(i + 1, blocks.size());
        ASSERT_EQ(blocks[i + 1].kind, "reply") << "line " << blocks[i].line;
        control::Reply reply;
        ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(blocks[i + 1].text, &reply).ok())
            << "line " << blocks[i + 1].line;
        EXPECT_EQ(encode_json(reply), blocks[i + 1].text) << "line " << blocks[i + 1].line;
        if (const auto* nak = std::get_if<control::Nak>(&decoded)) {
            control::Reply refused;
            *refused.mutable_nak() = *nak;
            EXPECT_EQ(encode_json(refused), blocks[i + 1].text) << "line " << blocks[i].line;
            continue;
        }
        const auto request = good(decoded);
        kinds.insert(request.GetReflection()
                         ->GetOneofFieldDescriptor(request, request.GetDescriptor()->oneof_decl(0))
                         ->name());
        EXPECT_NE(blocks[i + 1].text.find("\"id\": \"" + id_of(request) + "\""), std::string::npos)
            << "line " << blocks[i].line;
    }
    for (const FieldSchema& kind : request_schema().fields())
        EXPECT_TRUE(kinds.contains(std::string{kind.name})) << kind.name << " has no worked line";
}

TEST(Documentation, every_event_line_is_what_we_print) {
    for (const Block& block : blocks_of_the_documentation()) {
        if (block.kind != "event")
            continue;
        std::istringstream lines{block.text};
        for (std::string line; std::getline(lines, line);) {
            control::Reply reply;
            ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &reply).ok()) << line;
            EXPECT_EQ(to_json(reply), line);
        }
    }
}

} // namespace
} // namespace weft
