#include "pipeline/program.hh"

#include "base/hash.hh"

#include <algorithm>
#include <span>
#include <utility>

namespace weft {

std::shared_ptr<const Op[]> OpLists::share(const std::vector<Op>& ops) {
    WordHash hash{ops.size()};
    for (const Op& op : ops) {
        hash.add(
            std::uint64_t{op.arg} << 32 | std::uint64_t{op.needs} << 16 |
            static_cast<std::uint64_t>(op.kind)
        );
        hash.add(op.a);
        hash.add(op.b);
    }
    const bool begins_with_hop = ops.front().kind == Op::Kind::hop;
    const auto [first, last] = lists_.equal_range(hash.value());
    for (auto at = first; at != last; ++at)
        if (auto known = at->second.ops.lock(); known != nullptr &&
                                                at->second.count == ops.size() &&
                                                std::equal(ops.begin(), ops.end(), known.get())) {
            if (begins_with_hop)
                hops_->give_back(static_cast<std::uint16_t>(ops.front().arg));
            return known;
        }
    if (lists_.size() >= sweep_at_)
        forget_dead();
    std::shared_ptr<Op[]> made;
    if (begins_with_hop) {
        const auto number = static_cast<std::uint16_t>(ops.front().arg);
        made = {new Op[ops.size()], [hops = hops_, number](const Op* of) {
                    delete[] of;
                    hops->give_back(number);
                }};
    } else {
        made = std::make_shared<Op[]>(ops.size());
    }
    std::copy(ops.begin(), ops.end(), made.get());
    lists_.emplace(hash.value(), List{made, ops.size()});
    return made;
}

/// Whenever there are twice as many as were alive the last time.
void OpLists::forget_dead() {
    std::erase_if(lists_, [](const auto& list) { return list.second.ops.expired(); });
    sweep_at_ = 2 * lists_.size() + 64;
}

Program::Program(Program&& from) noexcept
    : rule{from.rule},
      details{std::exchange(from.details, nullptr)},
      rank{from.rank},
      op{std::move(from.op)},
      words{from.words},
      counter{from.counter},
      shapes{from.shapes},
      target{from.target},
      way{from.way},
      conjunctive{from.conjunctive} {}

namespace {

/// How the operations can be run, and with what.
void choose_way(std::vector<Op>& ops, Program& program, Hops& hops) {
    if (ops[0].kind == Op::Kind::drop)
        program.way = Way::drop;
    const std::size_t edits = ops.size() - std::min<std::size_t>(ops.size(), 2);
    if (ops.size() < 2 || ops[edits].kind != Op::Kind::output_port || ops[edits].a != 0)
        return;
    Hop hop;
    for (const Op& op : std::span{ops}.first(edits)) {
        constexpr std::uint64_t address = ~std::uint64_t{0xffff};
        if (op.kind == Op::Kind::dec_ttl && !hop.decrements_ttl)
            hop.decrements_ttl = true;
        else if (op.kind == Op::Kind::set && (op.arg == 1 || op.arg == 2) && op.b == address)
            hop = with_address(hop, op.arg, op.a);
        else
            return;
    }
    hop.port = static_cast<PortId>(ops[edits].arg);
    if (edits == 0) {
        if (index(hop.port) > Verdict::target_max)
            return;
        program.way = Way::send;
        program.target = static_cast<std::uint16_t>(hop.port);
    } else if (const auto number = hops.take(hop)) {
        program.way = Way::hop;
        program.target = *number;
        ops.insert(ops.begin(), Op{.kind = Op::Kind::hop, .arg = *number});
    }
}

/// Where a slice lies if it stays within one word of the key.
struct InWord {
    bool fits;
    std::uint8_t word, shift;
};

InWord in_word(FieldSlice slice) noexcept {
    const FieldInfo& field = info(slice.field);
    if (!field.is_wide())
        return {true, field.word, static_cast<std::uint8_t>(field.shift + slice.lsb)};
    if (slice.lsb >= 64)
        return {true, field.word, static_cast<std::uint8_t>(slice.lsb - 64)};
    return {slice.lsb + slice.bits <= 64, static_cast<std::uint8_t>(field.word + 1), slice.lsb};
}

class Compiler {
public:
    Compiler(BridgeId bridge, std::uint64_t cookie, Names& names)
        : bridge_{bridge},
          cookie_{cookie},
          names_{names} {}

    void list(const Actions& actions) {
        ops_.reserve(ops_.size() + actions.size() + 1);
        for (const Action& action : actions)
            std::visit([&](const auto& of) { add(action, of); }, action.of);
        make_last_call_a_jump();
        emit({.kind = Op::Kind::end});
    }

    ProgramPtr finish(OpLists& lists) {
        auto program = std::make_unique<Program>();
        program->conjunctive = !details_.conjunctions.empty();
        if (program->conjunctive || !details_.punts.empty() || !details_.unsupported.empty())
            program->details = new Program::Details{std::move(details_)};
        choose_way(ops_, *program, lists.hops());
        program->op = lists.share(ops_);
        program->words = words_;
        program->shapes = shapes_;
        return program;
    }

private:
    void emit(const Op& op) { ops_.push_back(op); }

    void uses(FieldSlice slice) {
        words_ |= info(slice.field).words();
        shapes_ |= needs(slice);
    }
    static std::uint16_t needs(FieldSlice slice) noexcept {
        return static_cast<std::uint16_t>(info(slice.field).requires_shape);
    }
    /// A call in last place needs no stack.
    void make_last_call_a_jump() {
        if (!ops_.empty() && ops_.back().kind == Op::Kind::call && last_is_ours_)
            ops_.back().kind = Op::Kind::jump;
    }
    void unsupported(const Action& action) {
        emit({.kind = Op::Kind::unsupported, .a = details_.unsupported.size()});
        details_.unsupported.emplace_back(name(action));
    }

    void add(const Action&, const action::Output& output) {
        struct Visitor {
            Compiler& self;
            std::uint32_t max_bytes;
            void operator()(const std::string& port) const {
                self.emit({
                    .kind = Op::Kind::output_port,
                    .arg = static_cast<std::uint32_t>(self.names_.output_port(self.bridge_, port)),
                    .a = max_bytes,
                });
            }
            void operator()(FieldSlice field) const {
                self.uses(field);
                self.emit({.kind = Op::Kind::output_field, .a = pack(field), .b = max_bytes});
            }
            void operator()(action::Reserved reserved) const {
                switch (reserved) {
                case action::Reserved::inport:
                    return self.emit({.kind = Op::Kind::output_inport, .b = max_bytes});
                case action::Reserved::flood:
                    return self.emit({.kind = Op::Kind::flood, .b = max_bytes});
                case action::Reserved::all:
                    return self.emit({.kind = Op::Kind::all, .b = max_bytes});
                case action::Reserved::normal:
                    return self.emit({.kind = Op::Kind::normal, .b = max_bytes});
                }
            }
        };
        last_is_ours_ = false;
        std::visit(Visitor{*this, output.max_bytes}, output.to);
    }
    void add(const Action&, const action::Drop&) { simple(Op::Kind::drop); }
    void add(const Action&, const action::Set& set) {
        last_is_ours_ = false;
        U128 value = set.value;
        if (!set.port.empty())
            value = U128{static_cast<std::uint64_t>(names_.number_of(bridge_, set.port))};
        set_bits(set.to, value);
    }
    void set_bits(FieldSlice to, U128 value) {
        uses(to);
        const FieldInfo& field = info(to.field);
        const U128 mask = low_bits(to.bits) << to.lsb;
        const U128 bits = value << to.lsb & mask;
        if (!field.is_wide()) {
            emit(
                {.kind = Op::Kind::set,
                 .needs = needs(to),
                 .arg = field.word,
                 .a = bits.low << field.shift,
                 .b = mask.low << field.shift}
            );
            return;
        }
        if (mask.high != 0)
            emit(
                {.kind = Op::Kind::set,
                 .needs = needs(to),
                 .arg = field.word,
                 .a = bits.high,
                 .b = mask.high}
            );
        if (mask.low != 0)
            emit({
                .kind = mask.high != 0 ? Op::Kind::set_low : Op::Kind::set,
                .needs = needs(to),
                .arg = field.word + 1u,
                .a = bits.low,
                .b = mask.low,
            });
    }
    void add(const Action&, const action::Move& move) {
        last_is_ours_ = false;
        uses(move.from);
        uses(move.to);
        const auto both = static_cast<std::uint16_t>(needs(move.from) | needs(move.to));
        const InWord from = in_word(move.from);
        const InWord to = in_word(move.to);
        if (from.fits && to.fits)
            emit({
                .kind = Op::Kind::move,
                .needs = both,
                .a = pack(MoveWords{from.word, from.shift, to.word, to.shift, move.to.bits}),
            });
        else
            emit(
                {.kind = Op::Kind::move_wide,
                 .needs = both,
                 .a = pack(move.from),
                 .b = pack(move.to)}
            );
    }
    void add(const Action&, const action::Push& push) {
        last_is_ours_ = false;
        uses(push.from);
        emit({.kind = Op::Kind::push, .a = pack(push.from)});
    }
    void add(const Action&, const action::Pop& pop) {
        last_is_ours_ = false;
        uses(pop.to);
        emit({.kind = Op::Kind::pop, .needs = needs(pop.to), .a = pack(pop.to)});
    }
    void add(const Action&, const action::PushVlan& push) {
        last_is_ours_ = false;
        emit({.kind = Op::Kind::push_vlan, .arg = push.tpid});
    }
    void add(const Action&, const action::PopVlan&) { simple(Op::Kind::pop_vlan); }
    void add(const Action&, const action::DecTtl&) {
        shapes_ |= static_cast<std::uint16_t>(Shape::ip);
        simple(Op::Kind::dec_ttl);
    }
    void add(const Action&, const action::Call& call) {
        emit(
            {.kind = Op::Kind::call,
             .arg = static_cast<std::uint32_t>(names_.table(bridge_, call.table))}
        );
        last_is_ours_ = true;
    }
    void add(const Action&, const action::Goto& to) {
        last_is_ours_ = false;
        emit(
            {.kind = Op::Kind::jump,
             .arg = static_cast<std::uint32_t>(names_.table(bridge_, to.table))}
        );
    }
    void add(const Action&, const action::Clone& clone) {
        const std::size_t at = ops_.size();
        emit({.kind = Op::Kind::clone});
        last_is_ours_ = false;
        list(clone.body);
        ops_[at].arg = static_cast<std::uint32_t>(ops_.size() - at - 1);
        last_is_ours_ = false;
    }
    void add(const Action&, const action::Group& group) {
        last_is_ours_ = false;
        emit({
            .kind = Op::Kind::group,
            .arg = static_cast<std::uint32_t>(names_.group(bridge_, group.group)),
            .a = group.group,
        });
    }
    void add(const Action& action, const action::Controller& to) {
        last_is_ours_ = false;
        if (to.meter != 0)
            return metered(action, to.meter);
        if (to.pause)
            return unsupported(action);
        emit(
            {.kind = Op::Kind::controller, .arg = static_cast<std::uint32_t>(details_.punts.size())}
        );
        details_.punts.push_back(std::make_unique<PuntSpec>(PuntSpec{
            to.reason, to.max_bytes, cookie_, to.userdata}));
    }
    void add(const Action&, const action::CheckPacketLarger& larger) {
        last_is_ours_ = false;
        uses(larger.to);
        emit({
            .kind = Op::Kind::check_larger,
            .needs = needs(larger.to),
            .arg = larger.bytes,
            .a = pack(larger.to),
        });
    }
    void add(const Action&, const action::SetQueue& set) {
        last_is_ours_ = false;
        set_bits(whole(info(FieldId::queue)), U128{set.queue});
    }
    void add(const Action& action, const action::Meter& of) {
        last_is_ours_ = false;
        metered(action, of.meter);
    }
    void metered(const Action& action, std::uint32_t meter) {
        unsupported(action);
        ops_.back().kind = Op::Kind::meter;
        ops_.back().arg = static_cast<std::uint32_t>(names_.meter(bridge_, meter));
    }
    void add(const Action&, const action::Conjunction& of) {
        details_.conjunctions.push_back({of.id, static_cast<std::uint8_t>(of.clause - 1), of.count}
        );
    }
    template <class Other>
    void add(const Action& action, const Other&) { // ct, ct_clear, learn, sample, bundle
        last_is_ours_ = false;
        unsupported(action);
    }
    void simple(Op::Kind kind) {
        last_is_ours_ = false;
        emit({.kind = kind});
    }

    BridgeId bridge_;
    std::uint64_t cookie_;
    Names& names_;
    std::vector<Op> ops_;
    Program::Details details_;
    WordMask words_ = 0;
    std::uint16_t shapes_ = 0;
    bool last_is_ours_ = false; // the last operation is the call that this list ended with
};

} // namespace

ProgramPtr compile_actions(
    BridgeId bridge, const Actions& actions, std::uint64_t cookie, Names& names, OpLists& lists
) {
    Compiler compiler{bridge, cookie, names};
    compiler.list(actions);
    return compiler.finish(lists);
}

} // namespace weft
