#include "pipeline/walk.hh"

#include "base/check.hh"
#include "pipeline/rule_counters.hh"

#include <algorithm>

namespace weft {

namespace {

constexpr std::uint64_t tci_bits = 0xffff;

void set_shape(FlowKey& key, Shape bits, bool on) noexcept {
    const std::uint64_t mask = std::uint64_t{static_cast<std::uint16_t>(bits)} << 48;
    key.word[0] = on ? key.word[0] | mask : key.word[0] & ~mask;
}

} // namespace

template <bool traced>
void Walk<traced>::begin(std::size_t lane, TableId table) noexcept {
    machines_.lane[lane] = Lane{};
    machines_.lane[lane].bridge = burst_.bridge;
    machines_.at[lane] = static_cast<std::uint32_t>(table);
}

template <bool traced>
const Table* Walk<traced>::gather(LaneMask active, LaneMask& here) const noexcept {
    const std::uint32_t at = machines_.at[static_cast<std::size_t>(std::countr_zero(active))];
    LaneMask same = 0;
    for (std::size_t lane = 0; lane < burst_max; ++lane) // eight lanes a compare
        same |= LaneMask{machines_.at[lane] == at} << lane;
    here = same & active;
    return now_.tables.find(at);
}

template <bool traced>
void Walk<traced>::lookup(const Table* table, LaneMask here, Found& found) noexcept {
    if (table == nullptr || table->names != nullptr || table->has_conjunctions) [[unlikely]]
        return lookup_otherwise(table, here, found);
    if (table->prefix_parts == 0)
        table->tuples->lookup_payloads(burst_.key.data(), here, now_.generation, found.payloads());
    else
        find_rules(*table, burst_.key.data(), here, now_.generation, found);
    WorkerCounters& counters = worker_.counters;
    if (!traced && !counters.stay_near())
        for_lanes(here, [&](std::size_t lane) { __builtin_prefetch(counters.of(found[lane]), 1); });
}

namespace {

Verdict verdict_of(const Program* program) noexcept {
    return program == nullptr ? Verdict{} : program->verdict();
}

} // namespace

/// In no table, or in one with names or conjunctions.
template <bool traced>
void Walk<traced>::lookup_otherwise(const Table* table, LaneMask here, Found& found) noexcept {
    const Generation g = now_.generation;
    std::array<const Program*, burst_max> named{};
    if (table != nullptr && table->names != nullptr)
        find_named(*table, burst_, here, g, machines_.names, worker_.number, named.data());
    if (table != nullptr && !table->has_conjunctions)
        find_rules(*table, burst_.key.data(), here, g, found);
    for (const std::size_t lane : Lanes{here}) {
        if (table == nullptr)
            found.set(lane, Verdict{});
        else if (table->has_conjunctions)
            found.set(lane, verdict_of(find_rule(*table, burst_.key[lane], g, named[lane])));
        else if (named[lane] != nullptr && (found[lane].program() == nullptr || goes_first(*named[lane], *found[lane].program())))
            found.set(lane, verdict_of(named[lane]));
    }
}

template <bool traced>
bool Walk<traced>::hit(std::size_t lane, const Table* table, Verdict verdict) noexcept {
    const Program* const found = verdict.program();
    Lane& at = machines_.lane[lane];
    if (++at.steps > walk_steps_max) [[unlikely]]
        return abort(lane, Drop::steps_exceeded) == Next::table;
    if (table != nullptr)
        at.table_number = static_cast<std::uint16_t>(table->number);
    if (found == nullptr) {
        const bool exists = table != nullptr && table->exists;
        const Drop reason = exists ? Drop::no_match : Drop::no_such_table;
        tell(
            lane,
            {.what = StoryStep::What::miss,
             .reason = reason,
             .table = table == nullptr ? TableId::none : table->id}
        );
        if (table == nullptr || table->miss == nullptr) {
            at.reason = reason;
            const Next next = list_ended(lane);
            return next == Next::table || (next == Next::on && run(lane));
        }
        return run_program(lane, table->miss);
    }
    tell(lane, {.what = StoryStep::What::lookup, .table = table->id, .rule = found->rule});
    if constexpr (!traced)
        if (table->counters)
            worker_.counters.count(verdict, burst_.packet[lane].bytes, worker_.now_ms);
    return run_program(lane, found);
}

template <bool traced>
bool Walk<traced>::run_program(std::size_t lane, const Program* program) noexcept {
    machines_.lane[lane].program = program;
    machines_.lane[lane].pc = program->op.get();
    return run(lane);
}

/// Runs operations until the lane stands at a table or its walk is over.
template <bool traced>
bool Walk<traced>::run(std::size_t lane) noexcept {
    Lane& at = machines_.lane[lane];
    for (;;) {
        const Op& op = *at.pc++;
        Next next;
        if (op.kind == Op::Kind::end) {
            next = list_ended(lane);
        } else {
            if (op.kind != Op::Kind::set_low && op.kind != Op::Kind::hop) {
                if (++at.steps > walk_steps_max) [[unlikely]]
                    return abort(lane, Drop::steps_exceeded) == Next::table;
                tell(lane, {.what = StoryStep::What::action, .rule = at.program->rule, .op = &op});
            }
            next = step(lane, op);
        }
        if (next != Next::on)
            return next == Next::table;
    }
}

template <bool traced>
auto Walk<traced>::step(std::size_t lane, const Op& op) noexcept -> Next {
    using Kind = Op::Kind;
    Lane& at = machines_.lane[lane];
    FlowKey& key = burst_.key[lane];
    const bool has_fields = has(key.shape(), static_cast<Shape>(op.needs));
    switch (op.kind) {
    case Kind::end:
    case Kind::hop:
        break;
    case Kind::output_port:
        return output(lane, static_cast<PortId>(op.arg), static_cast<std::uint32_t>(op.a), false);
    case Kind::output_field:
        return output_number(
            lane,
            static_cast<PortNumber>(static_cast<std::uint32_t>(get(key, unpack_slice(op.a)).low)),
            static_cast<std::uint32_t>(op.b),
            false
        );
    case Kind::output_inport:
        return output_number(lane, key.inport(), static_cast<std::uint32_t>(op.b), true);
    case Kind::normal:
        return normal(lane, static_cast<std::uint32_t>(op.b));
    case Kind::flood:
    case Kind::all:
        return flood(
            lane,
            {.kind = Frame::Kind::flood,
             .max_bytes = static_cast<std::uint32_t>(op.b),
             .over = now_.bridges.find(index(at.bridge))}
        );
    case Kind::drop:
        at.reason = Drop::policy;
        return list_ended(lane);
    case Kind::set:
    case Kind::set_low:
        if (has_fields) {
            key.word[op.arg] = (key.word[op.arg] & ~op.b) | op.a;
            wrote(lane, op.arg);
        }
        break;
    case Kind::move:
        if (has_fields) {
            const MoveWords m = unpack_move(op.a);
            const std::uint64_t mask = low_bits(m.bits).low;
            const std::uint64_t value = key.word[m.from_word] >> m.from_shift & mask;
            key.word[m.to_word] = (key.word[m.to_word] & ~(mask << m.to_shift)) | value
                                                                                      << m.to_shift;
            wrote(lane, m.to_word);
        }
        break;
    case Kind::move_wide:
        if (has_fields) {
            set(key, unpack_slice(op.b), get(key, unpack_slice(op.a)));
            wrote(lane, unpack_slice(op.b));
        }
        break;
    case Kind::push:
        if (at.stack == walk_stack_max)
            return abort(lane, Drop::stack_overflow);
        machines_.stacks[lane].value[at.stack++] = get(key, unpack_slice(op.a));
        break;
    case Kind::pop: {
        if (at.stack == 0)
            return abort(lane, Drop::stack_underflow);
        const U128 value = machines_.stacks[lane].value[--at.stack];
        if (has_fields) {
            set(key, unpack_slice(op.a), value);
            wrote(lane, unpack_slice(op.a));
        }
        break;
    }
    case Kind::push_vlan:
        if (!push_vlan(lane, static_cast<std::uint16_t>(op.arg)))
            return abort(lane, Drop::vlan_tags_exceeded);
        break;
    case Kind::pop_vlan:
        pop_vlan(lane);
        break;
    case Kind::dec_ttl:
        return dec_ttl(lane);
    case Kind::call: {
        Frame* frame = push_frame(lane);
        if (frame == nullptr)
            return abort(lane, Drop::depth_exceeded);
        frame->kind = Frame::Kind::call;
        machines_.at[lane] = op.arg;
        return Next::table;
    }
    case Kind::jump:
        machines_.at[lane] = op.arg;
        return Next::table;
    case Kind::clone: {
        if (++at.clones > walk_clones_max)
            return abort(lane, Drop::clones_exceeded);
        Frame* frame = push_frame(lane);
        if (frame == nullptr || !save(lane))
            return abort(lane, Drop::depth_exceeded);
        frame->kind = Frame::Kind::clone;
        frame->resume = at.pc + op.arg;
        break;
    }
    case Kind::group:
        return group(lane, op);
    case Kind::controller: {
        Effect* effect = add_effect(lane, Effect::Kind::punt);
        if (effect == nullptr)
            return abort(lane, Drop::effects_exceeded);
        effect->port = burst_.ingress;
        effect->punt = at.program->details->punts[op.arg].get();
        effect->max_bytes = effect->punt->max_bytes;
        tell(
            lane,
            {.what = StoryStep::What::punt, .port = burst_.ingress, .number = effect->punt->reason}
        );
        break;
    }
    case Kind::check_larger:
        if (has_fields) {
            set(key, unpack_slice(op.a), U128{burst_.packet[lane].bytes > op.arg ? 1u : 0u});
            wrote(lane, unpack_slice(op.a));
        }
        break;
    case Kind::meter:
        return abort(
            lane,
            now_.meters.find(op.arg) == nullptr ? Drop::no_such_meter : Drop::unsupported_action
        );
    case Kind::unsupported:
        return abort(lane, Drop::unsupported_action);
    }
    return Next::on;
}

/// The actions at hand ended: what the innermost frame says goes on.
template <bool traced>
auto Walk<traced>::list_ended(std::size_t lane) noexcept -> Next {
    Lane& at = machines_.lane[lane];
    if (at.depth == 0) {
        burst_.why[lane] = at.reason;
        return Next::over;
    }
    const Frame frame = machines_.stacks[lane].frame[--at.depth];
    at.pc = frame.resume;
    at.program = frame.program;
    at.table_number = frame.table_number;
    if (frame.kind == Frame::Kind::call)
        return Next::on;
    restore(lane);
    if (frame.kind == Frame::Kind::group) {
        const Group& group = *static_cast<const Group*>(frame.over);
        return frame.next < group.buckets.size() ? run_bucket(lane, group, frame.next) : Next::on;
    }
    return frame.kind == Frame::Kind::flood ? flood(lane, frame) : Next::on;
}

/// Ends the whole walk. What it sent before stays sent; the reason is told even then.
template <bool traced>
auto Walk<traced>::abort(std::size_t lane, Drop reason) noexcept -> Next {
    burst_.why[lane] = reason;
    tell(lane, {.what = StoryStep::What::drop, .reason = reason});
    if (burst_.effects.first[lane] != Effect::none)
        if (Effect* effect = add_effect(lane, Effect::Kind::drop); effect != nullptr)
            effect->reason = reason;
    return Next::over;
}

// -- states

template <bool traced>
Frame* Walk<traced>::push_frame(std::size_t lane) noexcept {
    Lane& at = machines_.lane[lane];
    if (at.depth == walk_depth_max)
        return nullptr;
    Frame& frame = machines_.stacks[lane].frame[at.depth++];
    frame.resume = at.pc;
    frame.program = at.program;
    frame.table_number = at.table_number;
    return &frame;
}

/// There are as many saved states as frames, so this cannot run out before push_frame() does.
template <bool traced>
bool Walk<traced>::save(std::size_t lane) noexcept {
    Lane& at = machines_.lane[lane];
    if (at.saved == walk_depth_max)
        return false;
    SavedState& to = machines_.stacks[lane].saved[at.saved++];
    const WordMask words = depth_.words | Depth::always;
    for (WordMask left = words; left != 0; left &= left - 1) {
        const auto word = static_cast<std::size_t>(std::countr_zero(left));
        to.key.word[word] = burst_.key[lane].word[word];
    }
    to.dirty = at.dirty;
    to.stack = at.stack;
    to.edit = at.edit;
    to.bridge = at.bridge;
    to.vlan = at.vlan;
    const auto& values = machines_.stacks[lane].value;
    std::copy(values.begin(), values.begin() + at.stack, to.values.begin());
    return true;
}

template <bool traced>
void Walk<traced>::restore(std::size_t lane) noexcept {
    Lane& at = machines_.lane[lane];
    dcheck(at.saved > 0);
    const SavedState& from = machines_.stacks[lane].saved[--at.saved];
    const WordMask words = depth_.words | Depth::always;
    for (WordMask left = words; left != 0; left &= left - 1) {
        const auto word = static_cast<std::size_t>(std::countr_zero(left));
        burst_.key[lane].word[word] = from.key.word[word];
    }
    at.dirty = from.dirty;
    at.stack = from.stack;
    at.edit = from.edit;
    at.bridge = from.bridge;
    at.vlan = from.vlan;
    std::copy(
        from.values.begin(), from.values.begin() + at.stack, machines_.stacks[lane].value.begin()
    );
}

template <bool traced>
auto Walk<traced>::group(std::size_t lane, const Op& op) noexcept -> Next {
    const Group* group = now_.groups.find(op.arg);
    if (group == nullptr)
        return refuse(lane, PortId::none, Drop::no_such_group);
    tell(
        lane,
        {.what = StoryStep::What::group,
         .number = static_cast<std::uint32_t>(op.a),
         .bridge = machines_.lane[lane].bridge}
    );
    if (group->type == GroupType::all)
        return group->buckets.empty() ? Next::on : run_bucket(lane, *group, 0);
    const auto bucket = choose_bucket(*group, burst_.key[lane], now_);
    if (!bucket)
        return refuse(lane, PortId::none, Drop::group_no_bucket);
    return run_bucket(lane, *group, *bucket);
}

/// A bucket runs like a clone; buckets of an `all` group one after the other, each on the state
/// before the group.
template <bool traced>
auto Walk<traced>::run_bucket(std::size_t lane, const Group& group, std::size_t bucket) noexcept
    -> Next {
    Lane& at = machines_.lane[lane];
    if (++at.clones > walk_clones_max)
        return abort(lane, Drop::clones_exceeded);
    Frame* frame = push_frame(lane);
    if (frame == nullptr || !save(lane))
        return abort(lane, Drop::depth_exceeded);
    frame->kind = group.type == GroupType::all ? Frame::Kind::group : Frame::Kind::clone;
    frame->over = &group;
    frame->next = static_cast<std::uint32_t>(bucket) + 1;
    tell(lane, {.what = StoryStep::What::bucket, .number = static_cast<std::uint32_t>(bucket)});
    at.program = group.buckets[bucket].program;
    at.pc = at.program->op.get();
    return Next::on;
}

// -- edits

template <bool traced>
void Walk<traced>::wrote(std::size_t lane, std::size_t word) noexcept {
    const WordMask bit = WordMask{1} << word & header_words;
    if (bit != 0) {
        machines_.lane[lane].dirty |= bit;
        machines_.lane[lane].edit = Effect::none;
    }
}

template <bool traced>
void Walk<traced>::wrote(std::size_t lane, FieldSlice slice) noexcept {
    const FieldInfo& field = info(slice.field);
    wrote(lane, field.word);
    if (field.is_wide())
        wrote(lane, field.word + 1u);
}

template <bool traced>
bool Walk<traced>::push_vlan(std::size_t lane, std::uint16_t tpid) noexcept {
    Lane& at = machines_.lane[lane];
    FlowKey& key = burst_.key[lane];
    if (key.is(Shape::vlan1) || at.vlan.pushed == 2)
        return false;
    if (key.is(Shape::vlan)) {
        set_shape(key, Shape::vlan1, true);
        key.word[2] = (key.word[2] & ~tci_bits) | (key.word[1] & tci_bits);
    }
    set_shape(key, Shape::vlan, true);
    key.word[1] &= ~tci_bits;
    at.vlan.tpid[1] = at.vlan.tpid[0];
    at.vlan.tpid[0] = tpid;
    ++at.vlan.pushed;
    at.edit = Effect::none;
    return true;
}

template <bool traced>
void Walk<traced>::pop_vlan(std::size_t lane) noexcept {
    Lane& at = machines_.lane[lane];
    FlowKey& key = burst_.key[lane];
    if (!key.is(Shape::vlan))
        return;
    const bool second = key.is(Shape::vlan1);
    set_shape(key, Shape::vlan1, false);
    set_shape(key, Shape::vlan, second);
    key.word[1] = (key.word[1] & ~tci_bits) | (second ? key.word[2] & tci_bits : 0);
    key.word[2] &= ~tci_bits;
    if (second &&
        (at.dirty >> 2 & 1) != 0) // the inner tag that may have been written is the outer one now
        wrote(lane, 1);
    if (at.vlan.pushed != 0) {
        --at.vlan.pushed;
        at.vlan.tpid[0] = at.vlan.tpid[1];
    } else {
        ++at.vlan.popped;
    }
    at.edit = Effect::none;
}

template <bool traced>
auto Walk<traced>::dec_ttl(std::size_t lane) noexcept -> Next {
    FlowKey& key = burst_.key[lane];
    if (!key.is(Shape::ip))
        return Next::on;
    const std::uint64_t ttl = key.word[4] >> 48 & 0xff;
    if (ttl <= 1)
        return abort(lane, Drop::ttl_exceeded);
    key.word[4] -= std::uint64_t{1} << 48;
    wrote(lane, 4);
    return Next::on;
}

template class Walk<false>;
template class Walk<true>;

} // namespace weft
