// A rule's actions as workers run them: a flat list of small operations with every name resolved.
#pragma once

#include "base/ids.hh"
#include "base/key.hh"
#include "classifier/entry.hh"
#include "pipeline/hops.hh"
#include "pipeline/tables.hh"
#include "pipeline/verdict.hh"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace weft {

/// One operation. What `arg`, `a` and `b` hold depends on the kind.
struct Op {
    enum class Kind : std::uint8_t {
        end,           // of the list: return to whoever called
        output_port,   // arg: PortId; a: max_bytes
        output_field,  // a: FieldSlice that holds a port number; b: max_bytes
        output_inport, // b: max_bytes
        normal,        // b: max_bytes
        flood,         // b: max_bytes
        all,           // b: max_bytes
        drop,
        set,       // arg: word of the key; a: value; b: mask
        set_low,   // the second half of a set of 128 bits; no step of its own
        move,      // within one word each: a: MoveWords
        move_wide, // a: from, b: to (FieldSlice)
        push,      // a: FieldSlice
        pop,       // a: FieldSlice
        push_vlan, // arg: TPID
        pop_vlan,
        dec_ttl,
        call,         // arg: TableId
        jump,         // arg: TableId: goto, and a call in last place
        clone,        // arg: operations to skip afterwards; the body follows and ends with `end`
        group,        // arg: GroupId; a: its number
        controller,   // arg: index into the program's punts
        check_larger, // arg: bytes; a: FieldSlice of one bit
        meter,        // arg: MeterId; a as below: not carried out yet, and may not be there
        unsupported,  // a: index into the program's names
        hop,          // first of a list of Way::hop; arg: its number in Hops; no step of its own
    };
    Kind kind{};
    std::uint16_t needs = 0; // shape bits without which the operation does nothing
    std::uint32_t arg = 0;
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    friend bool operator==(const Op&, const Op&) = default;
};
static_assert(sizeof(Op) == 24);

struct MoveWords {
    std::uint8_t from_word, from_shift, to_word, to_shift, bits;
};

constexpr std::uint64_t pack(FieldSlice slice) noexcept {
    return std::uint64_t{static_cast<std::uint16_t>(slice.field)} << 16 |
           std::uint64_t{slice.lsb} << 8 | slice.bits;
}
constexpr FieldSlice unpack_slice(std::uint64_t packed) noexcept {
    return {
        static_cast<FieldId>(packed >> 16),
        static_cast<std::uint8_t>(packed >> 8),
        static_cast<std::uint8_t>(packed),
    };
}
constexpr std::uint64_t pack(MoveWords m) noexcept {
    return std::uint64_t{m.from_word} | std::uint64_t{m.from_shift} << 8 |
           std::uint64_t{m.to_word} << 16 | std::uint64_t{m.to_shift} << 24 |
           std::uint64_t{m.bits} << 32;
}
constexpr MoveWords unpack_move(std::uint64_t p) noexcept {
    return {
        static_cast<std::uint8_t>(p),
        static_cast<std::uint8_t>(p >> 8),
        static_cast<std::uint8_t>(p >> 16),
        static_cast<std::uint8_t>(p >> 24),
        static_cast<std::uint8_t>(p >> 32),
    };
}

/// A clause of a conjunctive match: ovs-actions(7), conjunction.
struct ConjunctionClause {
    std::uint32_t id;
    std::uint8_t clause; // from 0
    std::uint8_t count;
};

/// Lists of operations, each once: thousands of rules say the same, and what many packets run stays
/// in the cache. The writer's; lists live as long as a program has them, and hops as long as a list
/// that begins with them.
class OpLists {
public:
    /// A list that begins with a hop brings one use of it along.
    std::shared_ptr<const Op[]> share(const std::vector<Op>& ops);
    Hops& hops() noexcept { return *hops_; }

private:
    struct List {
        std::weak_ptr<const Op[]> ops;
        std::size_t count;
    };
    void forget_dead();

    std::shared_ptr<Hops> hops_ = std::make_shared<Hops>(); // lists may outlive this
    std::unordered_multimap<std::uint64_t, List> lists_;    // by hash
    std::size_t sweep_at_ = 64;
};

/// Immutable once published. One line; the operations lie apart.
struct alignas(cache_line) Program {
    struct Details { // what few programs have
        std::vector<std::unique_ptr<PuntSpec>> punts;
        std::vector<std::string> unsupported; // first words of actions
        std::vector<ConjunctionClause> conjunctions;
    };
    const Rule* rule = nullptr;       // nullptr: a table's miss, a bucket, a packet-out
    const Details* details = nullptr; // nullptr: none of them
    Rank rank = 0;
    std::shared_ptr<const Op[]> op; // the last one is `end`
    WordMask words = 0;             // of the key, read or written
    CounterId counter = CounterId::none;
    std::uint16_t shapes = 0; // asked for
    std::uint16_t target = 0; // of its verdict
    Way way = Way::walk;
    bool conjunctive = false; // its rule only contributes clauses

    Program() = default;
    ~Program() { delete details; }
    /// What was taken from is empty.
    Program(Program&& from) noexcept;
    Program& operator=(Program&&) = delete;
    Verdict verdict() const noexcept { return {*this, way, target}; }
    std::span<const ConjunctionClause> conjunctions() const noexcept {
        return details == nullptr ? std::span<const ConjunctionClause>{} : details->conjunctions;
    }
};
static_assert(sizeof(Program) == cache_line);
using ProgramPtr = std::unique_ptr<Program>;
/// A rule's, which lies among others in memory that is its switch's: at the place of its counter's
/// id (Verdict; WorkerCounters).
struct DestroyInPlace {
    void operator()(Program* program) const noexcept { std::destroy_at(program); }
};
using PlacedProgram = std::unique_ptr<Program, DestroyInPlace>;

/// How a compiler resolves names; Tables is one.
class Names {
public:
    virtual ~Names() = default;
    virtual PortId output_port(BridgeId bridge, const std::string& name) = 0;
    virtual PortNumber number_of(BridgeId bridge, const std::string& name) = 0;
    virtual TableId table(BridgeId bridge, std::uint32_t number) = 0;
    virtual GroupId group(BridgeId bridge, std::uint32_t number) = 0;
    virtual MeterId meter(BridgeId bridge, std::uint32_t number) = 0;
};

/// Never fails: what this build does not do becomes Op::Kind::unsupported.
ProgramPtr compile_actions(
    BridgeId bridge, const Actions& actions, std::uint64_t cookie, Names& names, OpLists& lists
);

} // namespace weft
