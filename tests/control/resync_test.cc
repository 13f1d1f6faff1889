// Controllers that come back, take turns, and find what differs: digests by partition, sweeps,
// compare-and-swap, tombstones, leases, rows that die with their client or by themselves.
#include "control/codec_json.hh"
#include "control/rows/store.hh"
#include "tests/control/engine.hh"

#include <gtest/gtest.h>

#include <functional>

namespace weft::test {
namespace {

/// An op on the flow of that priority; `value` tells its actions apart.
std::string row(int weight, int priority, int value, std::string_view op_more = "") {
    std::string text = flow(weight, 0, priority, "ip4", "reg0 = " + std::to_string(value) + ";");
    if (!op_more.empty())
        text.insert(1, std::string{op_more} + ", ");
    return text;
}
std::string verb(std::string_view verb, int priority, int value, std::string_view op_more = "") {
    return row(
        0,
        priority,
        value,
        R"("verb": ")" + std::string{verb} + "\"" + (op_more.empty() ? "" : ", ") +
            std::string{op_more}
    );
}

class Resync : public testing::Test {
protected:
    void advance(std::uint64_t ms) {
        engine_.backend->advance_clock(ms);
        engine_.settle();
    }
    std::pair<std::uint64_t, std::uint64_t>
    digest(Controller& of, std::uint32_t part, std::uint32_t parts) {
        const control::Reply reply = of.ask(
            R"({"digest": {"id": "d", "relation": "flow", "part": )" + std::to_string(part) +
            R"(, "parts": )" + std::to_string(parts) + "}}"
        );
        std::uint64_t rows = 0, sum = 0;
        for (const control::DigestEntry& entry : reply.digests().digests()) {
            rows += entry.rows();
            sum += entry.digest();
        }
        return {rows, sum};
    }
    void fill(Controller& of, int count, const std::function<int(int)>& value) {
        for (int first = 0; first < count; first += 1'000) {
            std::string ops;
            for (int i = first; i < std::min(count, first + 1'000); ++i)
                if (value(i) >= 0)
                    ops += (ops.empty() ? "" : ",") + row(1, i, value(i));
            of.says("fill" + std::to_string(first), ops);
        }
    }
    Engine engine_;
    Controller client_ = engine_.connect("c");
};

// -- digests

TEST_F(Resync, the_digests_of_all_parts_sum_to_the_whole_however_many_parts) {
    fill(client_, 6'000, [](int i) { return i; }); // more than sums by partition begin with
    client_.says("gone", row(-1, 17, 17) + "," + verb("upsert", 18, 99));
    const auto whole = digest(client_, 0, 0);
    EXPECT_EQ(whole.first, 5'999u);
    for (const std::uint32_t parts : {1u, 2u, 64u, 1'024u, 4'096u}) {
        std::uint64_t rows = 0, sum = 0;
        for (std::uint32_t part = 0; part < parts; ++part) {
            const auto one = digest(client_, part, parts);
            rows += one.first;
            sum += one.second;
        }
        EXPECT_EQ(std::pair(rows, sum), whole) << parts;
    }
    Engine small;
    Controller other = small.connect("d");
    fill(other, 10, [](int i) { return i; });
    std::uint64_t rows = 0;
    for (std::uint32_t part = 0; part < 8; ++part)
        rows += digest(other, part, 8).first;
    EXPECT_EQ(rows, 10u);
}

TEST_F(Resync, parts_are_powers_of_two_and_a_part_is_one_of_them) {
    const auto refused = [&](std::string_view more) {
        return in_short(client_.ask(R"({"digest": {"id": "d", )" + std::string{more} + "}}"));
    };
    EXPECT_EQ(refused(R"("parts": 3)"), "nak bad_value");
    EXPECT_EQ(refused(R"("part": 4, "parts": 4)"), "nak out_of_range");
    EXPECT_EQ(refused(R"("part": 1)"), "nak bad_value");
    EXPECT_EQ(
        in_short(client_.ask(R"({"get": {"id": "g", "relation": "flow", "parts": 5}})")),
        "nak bad_value"
    );
}

TEST_F(Resync, the_pages_of_a_part_are_one_snapshot_of_that_part) {
    fill(client_, 6'000, [](int i) { return i; });
    std::uint64_t rows = 0;
    for (std::uint32_t part = 0; part < 32; ++part) {
        const std::uint64_t wanted = digest(client_, part, 32).first;
        control::Reply page = client_.ask(
            R"({"get": {"id": "g", "relation": "flow", "limit": 100, "part": )" +
            std::to_string(part) + R"(, "parts": 32}})"
        );
        std::uint64_t read = static_cast<std::uint64_t>(page.rows().rows_size());
        EXPECT_LT(read, wanted) << "there is another page";
        const int changed = static_cast<int>(part) * 100;
        client_.says(
            "mid" + std::to_string(part),
            row(-1, changed, changed) + "," + row(1, 9'000 + changed, 1)
        );
        while (!page.rows().cursor().empty()) {
            page = client_.ask(
                R"({"get": {"id": "g", "relation": "flow", "limit": 100, "cursor": ")" +
                page.rows().cursor() + "\"}}"
            );
            read += static_cast<std::uint64_t>(page.rows().rows_size());
        }
        EXPECT_EQ(read, wanted);
        rows += read;
    }
    EXPECT_GT(rows, 5'900u);
}

/// DF-16: what differs is found by halving, and only that is read.
TEST_F(Resync, df16_a_difference_is_found_by_bisection_and_mended_with_one_op_each) {
    constexpr int count = 8'000;
    Engine mirror;
    Controller right = mirror.connect("c");
    fill(right, count, [](int i) { return i; });
    // three rows are lost, two are wrong, one is nobody's
    fill(client_, count, [](int i) {
        return i == 70 || i == 4'000 || i == 7'999 ? -1 : i == 5 || i == 6'000 ? 1 : i;
    });
    client_.says("stray", row(1, 9'999, 7));
    std::size_t digests = 0, read = 0;
    std::string ops;
    std::function<void(std::uint32_t, std::uint32_t)> search = [&](std::uint32_t part,
                                                                   std::uint32_t parts) {
        digests += 2;
        if (digest(client_, part, parts) == digest(right, part, parts))
            return;
        if (parts < 1'024) {
            search(part * 2, parts * 2);
            search(part * 2 + 1, parts * 2);
            return;
        }
        const std::string more =
            R"("part": )" + std::to_string(part) + R"(, "parts": )" + std::to_string(parts);
        std::map<std::uint32_t, std::string> here, there;
        for (auto [controller, found] : {std::pair{&client_, &here}, std::pair{&right, &there}})
            for (const control::Reply& page : controller->get("flow", more))
                for (const control::StoredRow& stored : page.rows().rows()) {
                    (*found)[stored.row().flow().priority()] = stored.row().flow().actions();
                    ++read;
                }
        for (const auto& [priority, actions] : there)
            if (!here.contains(priority) || here[priority] != actions)
                ops += (ops.empty() ? "" : ",") +
                       verb("upsert", static_cast<int>(priority), static_cast<int>(priority));
        for (const auto& [priority, actions] : here)
            if (!there.contains(priority))
                ops += (ops.empty() ? "" : ",") + verb("delete", static_cast<int>(priority), 0);
    };
    search(0, 1);
    EXPECT_EQ(client_.says("mend", ops), "ack +5 -3 =0");
    EXPECT_EQ(digest(client_, 0, 0), digest(right, 0, 0));
    EXPECT_LT(digests, 2u * 6 * 2 * 11);
    EXPECT_LT(read, 200u) << "of " << 2 * count;
}

// -- sweeps

/// DF-30: a controller that starts again says everything in a new epoch and sweeps what it did not
/// say again.
TEST_F(Resync, df30_a_sweep_takes_what_an_earlier_life_asserted_and_nothing_else) {
    Controller other = engine_.connect("other");
    other.says("o", row(1, 50, 5));
    {
        Controller first = engine_.connect();
        first.ask(R"({"hello": {"id": "h", "client": "agent", "owner_epoch": 1}})");
        EXPECT_EQ(
            first.says("1", row(1, 1, 1) + "," + row(1, 2, 2) + "," + row(1, 50, 5)), "ack +2 -0 =1"
        );
    }
    Controller second = engine_.connect();
    second.ask(R"({"hello": {"id": "h", "client": "agent", "owner_epoch": 2}})");
    EXPECT_EQ(second.says("2", row(1, 1, 1) + "," + row(1, 3, 3)), "ack +1 -0 =1");
    EXPECT_EQ(second.says("3", "", R"("sweep": {})"), "ack +0 -1 =1") << "50 is the other's, too";
    EXPECT_EQ(
        client_.rows("flow"),
        "ip4 -> reg0 = 1; [agent]\nip4 -> reg0 = 3; [agent]\nip4 -> reg0 = 5; [other]\n"
    );
    EXPECT_EQ(second.says("4", "", R"("sweep": {})"), "ack +0 -0 =0");
    EXPECT_EQ(
        client_.says("5", "", R"("sweep": {"owner": "agent", "epoch": 3, "relations": ["port"]})"),
        "ack +0 -0 =0"
    );
    EXPECT_EQ(client_.says("6", "", R"("sweep": {"owner": "agent", "epoch": 3})"), "ack +0 -2 =0");
    EXPECT_EQ(
        client_.says("7", "", R"("sweep": {"relations": ["weather"]})"), "nak unknown_relation"
    );
}

TEST_F(Resync, df30_rows_that_are_said_again_keep_their_counters) {
    client_.says("p", port_row(1, "p1") + "," + port_row(1, "p2"));
    engine_.port_up("p1");
    engine_.port_up("p2");
    const std::string kept = flow(1, 0, 1, "ip4", "output(\"p2\");");
    client_.says("1", kept);
    engine_.sends("p1", udp("10.0.0.9:1 > 10.0.0.1:2"));
    client_.ask(R"({"hello": {"id": "h", "client": "c", "owner_epoch": 9}})");
    EXPECT_EQ(client_.says("2", kept, R"("sweep": {"relations": ["flow"]})"), "ack +0 -0 =1");
    EXPECT_EQ(client_.get("flow").at(0).rows().rows(0).packets(), 1u);
    EXPECT_EQ(client_.says("3", "", R"("sweep": {})"), "ack +0 -2 =0") << "the ports";
}

// -- compare and swap, versions

TEST_F(Resync, df11_an_op_with_if_version_applies_to_that_version_alone) {
    client_.says("1", row(1, 1, 1, R"("version": 5)"));
    const control::Reply refused = client_.ask(
        R"({"transaction": {"id": "2", "ops": [)" + row(1, 2, 2) + "," +
        verb("upsert", 1, 9, R"("version": 7, "if_version": 6)") + "]}}"
    );
    EXPECT_EQ(in_short(refused), "nak cas_failed op 1");
    EXPECT_EQ(refused.nak().current_version(), 5u);
    EXPECT_EQ(refused.nak().current_row().flow().actions(), "reg0 = 1;");
    EXPECT_EQ(client_.rows("flow"), "ip4 -> reg0 = 1; [c]\n") << "nothing of it is done";
    EXPECT_EQ(
        client_.says("3", verb("upsert", 1, 9, R"("version": 7, "if_version": 5)")), "ack +1 -1 =0"
    );
    EXPECT_EQ(client_.says("4", verb("delete", 1, 0, R"("if_version": 5)")), "nak cas_failed op 0");
    EXPECT_EQ(client_.says("5", verb("delete", 1, 0, R"("if_version": 7)")), "ack +0 -1 =0");
    const control::Reply gone = client_.ask(
        R"({"transaction": {"id": "6", "ops": [)" +
        verb("upsert", 1, 9, R"("version": 9, "if_version": 7)") + "]}}"
    );
    EXPECT_EQ(in_short(gone), "nak cas_failed op 0");
    EXPECT_EQ(gone.nak().current_version(), 7u) << "of the tombstone";
    EXPECT_FALSE(gone.nak().has_current_row());
}

TEST_F(Resync, df11_create_if_absent) {
    EXPECT_EQ(client_.says("1", row(1, 1, 1, R"("if_absent": true)")), "ack +1 -0 =0");
    EXPECT_EQ(client_.says("2", row(1, 1, 1, R"("if_absent": true)")), "nak cas_failed op 0");
    EXPECT_EQ(
        client_.says("3", row(1, 2, 1, R"("if_absent": true, "if_version": 1)")),
        "nak bad_value op 0"
    );
}

TEST_F(Resync, df15_an_older_or_equal_version_is_stale_and_says_what_stands) {
    client_.says("1", row(1, 1, 1, R"("version": 5)"));
    const control::Reply stale = client_.ask(
        R"({"transaction": {"id": "2", "ops": [)" + verb("upsert", 1, 2, R"("version": 5)") + "]}}"
    );
    EXPECT_EQ(in_short(stale), "nak stale_version op 0");
    EXPECT_EQ(stale.nak().current_version(), 5u);
    EXPECT_EQ(client_.says("3", verb("upsert", 1, 2, R"("version": 6)")), "ack +1 -1 =0");
}

TEST_F(Resync, df15_a_late_update_does_not_raise_a_row_from_its_grave) {
    client_.says("1", row(1, 1, 1, R"("version": 5)"));
    client_.says("2", verb("delete", 1, 0, R"("version": 8)"));
    EXPECT_EQ(client_.says("3", row(1, 1, 1, R"("version": 7)")), "nak stale_version op 0");
    EXPECT_EQ(client_.says("4", row(1, 1, 1, R"("version": 9)")), "ack +1 -0 =0");
}

TEST_F(Resync, df15_a_delete_that_comes_before_its_row_holds_against_it) {
    EXPECT_EQ(client_.says("1", verb("delete", 1, 0, R"("version": 8)")), "ack +0 -0 =1");
    EXPECT_EQ(client_.says("2", row(-1, 2, 1, R"("version": 8)")), "ack +0 -0 =1");
    EXPECT_EQ(client_.says("3", row(1, 1, 1, R"("version": 7)")), "nak stale_version op 0");
    EXPECT_EQ(client_.says("4", row(1, 2, 1, R"("version": 8)")), "nak stale_version op 0");
    EXPECT_EQ(client_.says("5", verb("delete", 1, 0, R"("version": 3)")), "ack +0 -0 =1");
    EXPECT_EQ(client_.says("6", row(1, 1, 1, R"("version": 8)")), "nak stale_version op 0")
        << "an older delete digs no shallower grave";
}

// -- leases

std::string lease(std::string_view id, std::string_view more) {
    return R"({"lease": {"id": ")" + std::string{id} + R"(", )" + std::string{more} + "}}";
}

/// GS-1: a primary that lost its lease changes nothing any more, whatever it still sends.
TEST_F(Resync, gs1_a_late_transaction_of_the_old_primary_is_fenced) {
    Controller standby = engine_.connect("standby");
    const std::string scope = R"("scope": "net1")";
    EXPECT_EQ(client_.ask(lease("1", scope + R"(, "ttl_ms": 1000)")).lease().fence(), 1u);
    EXPECT_EQ(client_.says("2", row(1, 1, 1), scope + R"(, "fence": 1)"), "ack +1 -0 =0");
    EXPECT_EQ(in_short(standby.ask(lease("3", scope + R"(, "ttl_ms": 1000)"))), "nak lease_held");
    EXPECT_EQ(standby.says("4", row(1, 2, 2), scope), "nak fenced");
    advance(900);
    EXPECT_EQ(
        client_.ask(lease("5", scope + R"(, "ttl_ms": 1000, "fence": 1)")).lease().fence(), 1u
    );
    advance(900);
    EXPECT_EQ(in_short(standby.ask(lease("6", scope + R"(, "ttl_ms": 1000)"))), "nak lease_held");
    advance(200);
    EXPECT_EQ(client_.says("7", row(1, 3, 3), scope + R"(, "fence": 1)"), "ack +1 -0 =0")
        << "it ran out, and nobody took it";
    EXPECT_EQ(standby.ask(lease("8", scope + R"(, "ttl_ms": 1000)")).lease().fence(), 2u);
    EXPECT_EQ(client_.says("9", row(1, 4, 4), scope + R"(, "fence": 1)"), "nak fenced");
    EXPECT_EQ(client_.says("10", row(-1, 1, 1), R"("fence": 0)"), "nak fenced")
        << "the row's scope counts";
    EXPECT_EQ(
        in_short(client_.ask(lease("11", scope + R"(, "ttl_ms": 1000, "fence": 1)"))), "nak fenced"
    );
    EXPECT_EQ(standby.says("12", row(1, 1, 1), scope + R"(, "fence": 2)"), "ack +0 -0 =1");
    EXPECT_EQ(client_.says("13", row(1, 9, 9), R"("scope": "net2")"), "ack +1 -0 =0");
    EXPECT_EQ(
        standby.rows("flow", R"("scope": "net1")"),
        "ip4 -> reg0 = 1; [c,standby/net1]\nip4 -> reg0 = 3; [c/net1]\n"
    ) << "no committed row is lost";
    EXPECT_EQ(standby.ask(lease("14", scope + R"(, "ttl_ms": 0, "fence": 2)")).lease().fence(), 2u);
    EXPECT_EQ(client_.says("15", row(-1, 3, 3), scope), "ack +0 -1 =0") << "it is given up";
    EXPECT_EQ(client_.ask(lease("16", scope + R"(, "ttl_ms": 1000)")).lease().fence(), 3u);
}

TEST_F(Resync, gs1_a_controller_that_comes_back_gets_a_new_fence) {
    const std::string asked = R"("scope": "", "ttl_ms": 60000)";
    EXPECT_EQ(client_.ask(lease("1", asked)).lease().fence(), 1u);
    Controller again = engine_.connect("c");
    EXPECT_EQ(again.ask(lease("2", asked)).lease().fence(), 2u);
    EXPECT_EQ(client_.says("3", row(1, 1, 1), R"("fence": 1)"), "nak fenced");
    EXPECT_EQ(again.says("4", row(1, 1, 1), R"("fence": 2)"), "ack +1 -0 =0");
    EXPECT_EQ(in_short(client_.ask(lease("5", R"("ttl_ms": 4000000)"))), "nak out_of_range");
    EXPECT_EQ(in_short(client_.ask(lease("6", R"("scope": "x")"))), "nak bad_value");
    EXPECT_EQ(client_.says("7", row(1, 2, 2), R"("scope": "y", "fence": 1)"), "nak fenced");
}

// -- rows that end

TEST_F(Resync, a_row_with_a_time_to_live_leaves_when_nobody_says_it_again) {
    const std::string mortal = row(1, 1, 1, R"("ttl_ms": 1000)");
    client_.says(
        "1",
        mortal + "," + row(1, 2, 2) + "," +
            R"({"weight": 1, "ttl_ms": 500, "meter": {"meter": 1, "unit": "kbps", "bands": [{"rate": 1}]}})"
    );
    advance(600);
    EXPECT_EQ(client_.says("2", mortal), "ack +0 -0 =1");
    advance(600);
    EXPECT_EQ(client_.rows("flow"), "ip4 -> reg0 = 1; [c]\nip4 -> reg0 = 2; [c]\n");
    EXPECT_EQ(client_.rows("meter"), "");
    advance(500);
    EXPECT_EQ(client_.rows("flow"), "ip4 -> reg0 = 2; [c]\n");
    client_.says("3", mortal);
    client_.says("4", row(-1, 1, 1));
    client_.says("5", row(1, 1, 1));
    advance(5'000);
    EXPECT_EQ(client_.rows("flow"), "ip4 -> reg0 = 1; [c]\nip4 -> reg0 = 2; [c]\n")
        << "another row of the same key has a life of its own";
}

TEST_F(Resync, ephemeral_rows_die_with_their_client_after_a_grace_time) {
    {
        Controller guest = engine_.connect();
        guest.ask(R"({"hello": {"id": "h", "client": "guest", "grace_ms": 2000}})");
        guest.says("1", row(1, 1, 1) + "," + row(1, 2, 2), R"("ephemeral": true)");
        guest.says("2", row(1, 3, 3));
        client_.says("3", row(1, 2, 2));
    }
    advance(1'900);
    EXPECT_EQ(
        client_.rows("flow"),
        "ip4 -> reg0 = 1; [guest]\nip4 -> reg0 = 2; [guest,c]\nip4 -> reg0 = 3; [guest]\n"
    );
    advance(200);
    EXPECT_EQ(client_.rows("flow"), "ip4 -> reg0 = 2; [c]\nip4 -> reg0 = 3; [guest]\n");
}

TEST_F(Resync, ephemeral_rows_stay_where_their_client_comes_back_in_time) {
    {
        Controller guest = engine_.connect("guest");
        guest.says("1", row(1, 1, 1), R"("ephemeral": true)");
    }
    advance(9'000);
    {
        Controller back = engine_.connect("guest");
        advance(60'000);
        EXPECT_EQ(client_.rows("flow"), "ip4 -> reg0 = 1; [guest]\n");
    }
    advance(11'000);
    EXPECT_EQ(client_.rows("flow"), "") << "it went again";
}

} // namespace
} // namespace weft::test
