// The engine and its specification side by side: every change is made in both, every packet is
// asked of both, at every generation that is held, and the answers are compared step by step.
#pragma once

#include "pipeline/burst.hh"
#include "pipeline/process.hh"
#include "pipeline/story.hh"
#include "pipeline/tables.hh"
#include "pipeline/world.hh"
#include "tests/oracle/interpreter.hh"
#include "tests/oracle/packets.hh"
#include "tests/oracle/spec.hh"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft::oracle {

/// A walk in words, one step a line, for people who look for a difference.
std::string describe(const Walk& walk);

/// Frees what was retired once no held generation can reach it.
class HeldReclaimer final : public Reclaimer {
public:
    ~HeldReclaimer() override { run_before(never); }
    void retire(std::function<void()> free) override {
        waiting_.push_back({current_, std::move(free)});
    }
    /// The writer shows this generation from now on.
    void shown(Generation generation) { current_ = generation; }
    /// Everything that only generations before `oldest` could reach.
    void run_before(Generation oldest);

private:
    struct Waiting {
        Generation at;
        std::function<void()> free;
    };
    Generation current_ = 0;
    std::vector<Waiting> waiting_;
};

/// One packet to ask about.
struct Question {
    test::Bytes bytes;
    PortId ingress = PortId::none;
    BridgeId bridge{};
    std::shared_ptr<const Actions> first; // packet-out, compiled beforehand
    std::shared_ptr<const Program> program;
};

/// What all walks of a test met, so that a test can say what it has seen.
struct Tally {
    std::array<std::uint64_t, drop_count> drops{};
    std::uint64_t walks = 0, steps = 0, outputs = 0, edited = 0, retagged = 0, punts = 0,
                  patches = 0, buckets = 0;
    std::uint64_t conjunctions = 0; // lookups that one of them decided
    std::uint64_t several = 0;      // walks with more than one effect
    void add(const Walk& walk, const FlowKey& received);
    void add(const Tally& other);
};

class Pair {
public:
    explicit Pair(const TableLimits& limits, std::uint64_t hash_key = 1);
    ~Pair();

    // -- changes of the next generation
    BridgeId bridge(const std::string& name);
    PortId port(BridgeId bridge, const std::string& name, const PortSettings& settings);
    PortId mention_port(BridgeId bridge, const std::string& name);
    void erase_port(BridgeId bridge, PortId port);
    void set_link(PortId port, bool up);
    void group(BridgeId bridge, std::uint32_t number, const GroupSettings& settings);
    void erase_group(BridgeId bridge, std::uint32_t number);
    void meter(BridgeId bridge, std::uint32_t number);
    void erase_meter(BridgeId bridge, std::uint32_t number);
    void miss(BridgeId bridge, std::uint32_t table, std::optional<Actions> actions);
    /// The row's place in rules(), which moves when others are erased.
    void insert(
        BridgeId bridge,
        std::uint32_t table,
        std::uint32_t priority,
        const Match& match,
        const Actions& actions,
        std::uint64_t cookie = 0
    );
    void erase(BridgeId bridge, std::uint32_t table, std::size_t place);
    /// The same row with other actions, as one change: its counters go on.
    void replace(BridgeId bridge, std::uint32_t table, std::size_t place, const Actions& actions);
    const std::vector<SpecRule>& rules(BridgeId bridge, std::uint32_t table);

    // -- generations
    void commit();
    std::size_t held() const { return held_.size(); }
    /// Lets go of a held generation, the newest excepted.
    void release(std::size_t which);

    // -- packets
    std::shared_ptr<const Program> compile(BridgeId bridge, const Actions& actions);
    /// What is different, in words, with the walk as it should be; nothing where both agree. `walk`
    /// is what the specification says.
    std::optional<std::string>
    ask(const Question& question, std::size_t which, Walk* walk = nullptr);
    /// Up to 32 packets of one ingress and one program at once, without stories: their effects, and
    /// what is counted.
    std::optional<std::string> ask_burst(std::span<const Question> questions, std::size_t which);
    /// Rows' counters against the hits of all bursts.
    std::optional<std::string> compare_counters() const;

    Tables& tables() { return *tables_; }
    const Tally& tally() const { return tally_; }

private:
    struct Held {
        const World* world;
        std::shared_ptr<const SpecWorld> spec;
    };
    struct Counts {
        std::uint64_t packets = 0, bytes = 0;
    };

    SpecTable& table(BridgeId bridge, std::uint32_t number);
    void mention(BridgeId bridge, const Actions& actions);
    /// How deep the engine has to look for this packet.
    static Depth depth_of(const Question& question, const Held& held);
    Asked asked(const Question& question, const Held& held, test::OwnedPacket& packet, Drop& parsed)
        const;
    void load(std::size_t lane, test::OwnedPacket& packet);
    /// A burst has only so much memory for effects; where it is used up, walks end by name before
    /// their time.
    bool effects_full() const {
        return burst_->effects.used == Effects::effects_max ||
               burst_->effects.edits_used == Effects::edits_max;
    }
    std::optional<std::string> compare_steps(const Walk& walk) const;
    std::optional<std::string> compare_step(const Step& wanted, const StoryStep& got) const;
    std::optional<std::string> compare_effects(
        const Walk& walk, const Asked& asked, const test::Bytes& bytes, std::size_t lane
    ) const;
    std::optional<std::string> compare_copy(
        const Outcome& wanted, const Effect& got, const Asked& asked, const test::Bytes& bytes
    ) const;

    HeldReclaimer reclaimer_;
    std::unique_ptr<Tables> tables_;
    std::unique_ptr<PipelineWorker> worker_;
    std::unique_ptr<Burst> burst_;
    std::unique_ptr<Story> story_;
    SpecWorld spec_;
    Links links_;
    std::vector<Held> held_; // oldest first
    Tally tally_;
    std::vector<Counts> counted_; // by SpecRule::row
    bool all_counted_ = true;     // false: some burst ran out of effects, so its walks ended early
};

} // namespace weft::oracle
