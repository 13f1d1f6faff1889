// Readers look names up while the one writer changes patterns and rules: each reader sees exactly
// the rules of the generation that it holds.
#include "pipeline/name_part.hh"
#include "tests/classifier/counted_readers.hh"
#include "tests/support/manual_reclaimer.hh"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace weft {
namespace {

constexpr std::uint64_t rule_count = 48;
constexpr Generation generations = 150;

/// Whether rule k is there at generation g: a function that both sides know.
bool is_there(std::uint64_t k, Generation g) {
    return g / (1 + k % 7) % 2 == 0;
}
Payload payload_of(std::uint64_t k) {
    return k + 1;
}
bool any_order(const Entry&, const Entry&) {
    return false;
}

std::string pattern_of(std::uint64_t k) {
    const std::string number = std::to_string(k);
    return k % 3 == 0   ? "k" + number + ".a"
           : k % 3 == 1 ? "*.s" + number + ".b"
                        : "w*-" + number + ".c";
}
/// A name that rule k alone matches.
PayloadName name_for(std::uint64_t k) {
    const std::string number = std::to_string(k);
    const std::string text = k % 3 == 0   ? "k" + number + ".a"
                             : k % 3 == 1 ? "x.s" + number + ".b"
                                          : "wx-" + number + ".c";
    PayloadName name;
    name.field = FieldId::tls_sni;
    name.bytes = static_cast<std::uint8_t>(text.size());
    std::copy(text.begin(), text.end(), name.text.begin());
    return name;
}

using Readers = test::CountedReaders<Generation>;

void read(const NamePart& part, Readers& readers, std::size_t number) {
    const auto lanes = std::make_unique<NameLanes>();
    std::vector<FlowKey> keys(burst_max);
    std::uint64_t round = number;
    while (!readers.stop.load()) {
        const Generation g = readers.published.load();
        for (std::size_t lane = 0; lane < burst_max; ++lane)
            lanes->name[lane] = name_for((round * burst_max + lane) % rule_count);
        std::array<const Entry*, burst_max> best{};
        part.lookup(keys.data(), ~LaneMask{0}, g, *lanes, number, best.data());
        for (std::size_t lane = 0; lane < burst_max; ++lane) {
            const std::uint64_t k = (round * burst_max + lane) % rule_count;
            const bool right = is_there(k, g)
                                   ? best[lane] != nullptr && best[lane]->payload == payload_of(k)
                                   : best[lane] == nullptr;
            readers.wrong += right ? 0 : 1;
        }
        ++round;
        ++readers.rounds[number];
    }
}

TEST(NamePartThreads, readers_see_exactly_their_generation_while_the_writer_works) {
    test::ManualReclaimer reclaimer;
    NamePart part{reclaimer, 0x5eed, any_order};
    Readers readers{Generation{1}};
    std::vector<Entry*> dead;
    std::array<Entry*, rule_count> alive{};

    const auto commit = [&](Generation g) {
        for (std::uint64_t k = 0; k < rule_count; ++k) {
            if (is_there(k, g) && alive[k] == nullptr) {
                Pattern pattern;
                pattern.add(
                    name_word, ~std::uint64_t{0}, part.id_of(FieldId::tls_sni, pattern_of(k))
                );
                alive[k] = part.insert(pattern, make_rank(1, 8), g, payload_of(k));
            } else if (!is_there(k, g) && alive[k] != nullptr) {
                part.rules().expire(*alive[k], g);
                dead.push_back(std::exchange(alive[k], nullptr));
            }
        }
        readers.published.store(g);
    };
    commit(1);
    readers.while_reading(
        [&](std::size_t reader) { read(part, readers, reader); },
        [&] {
            for (Generation g = 2; g <= generations; ++g) {
                commit(g);
                readers.wait_for_grace(); // nobody sees what died: out of the part
                for (Entry* entry : std::exchange(dead, {}))
                    part.remove(*entry);
                if (g % 10 == 0 && part.wildcards().wants_compile())
                    part.wildcards().adopt(
                        CompiledWildcards::compile(part.wildcards().job(Readers::count))
                    );
                part.tidy(8);
                readers.wait_for_grace(); // nobody stands on what was taken out
                reclaimer.run();
            }
        }
    );
    reclaimer.run_all();
    EXPECT_EQ(readers.wrong.load(), 0u);
    EXPECT_GT(readers.rounds[0].load() + readers.rounds[1].load(), generations);
}

} // namespace
} // namespace weft
