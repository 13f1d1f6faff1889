#include "tests/oracle/pair.hh"

#include "base/check.hh"
#include "pipeline/program.hh"
#include "tests/support/spell_out.hh"

#include <algorithm>
#include <map>

namespace weft::oracle {

void HeldReclaimer::run_before(Generation oldest) {
    for (bool any = true; any;) {
        any = false;
        std::vector<Waiting> waiting = std::exchange(waiting_, {});
        for (Waiting& one : waiting) {
            if (one.at < oldest) {
                one.free(); // may retire more
                any = true;
            } else {
                waiting_.push_back(std::move(one));
            }
        }
    }
}

namespace {

bool asks_for(const SpecRule& rule, FieldId field) {
    return std::any_of(rule.match.terms.begin(), rule.match.terms.end(), [&](const Term& term) {
        return std::any_of(term.fields.begin(), term.fields.end(), [&](const FieldMatch& match) {
            return match.field == field;
        });
    });
}

} // namespace

void Tally::add(const Walk& walk, const FlowKey& received) {
    ++walks;
    steps += walk.steps.size();
    several += std::uint64_t{walk.effects.size() > 1};
    for (const Step& step : walk.steps) {
        patches += std::uint64_t{step.what == StoryStep::What::patch};
        const bool is_lookup = step.what == StoryStep::What::lookup;
        conjunctions += std::uint64_t{is_lookup && asks_for(*step.rule, FieldId::conj_id)};
        buckets += std::uint64_t{step.what == StoryStep::What::bucket};
    }
    for (const Outcome& outcome : walk.effects) {
        const bool is_output = outcome.kind == Outcome::Kind::output;
        outputs += std::uint64_t{is_output};
        punts += std::uint64_t{outcome.kind == Outcome::Kind::punt};
        drops[static_cast<std::size_t>(outcome.reason)] +=
            std::uint64_t{outcome.kind == Outcome::Kind::drop};
        bool same = true;
        for (std::size_t word = 1; word < 24; ++word)
            same = same && ((header_words >> word & 1) == 0 ||
                            outcome.key.word[word] == received.word[word]);
        edited += std::uint64_t{is_output && !same};
        retagged +=
            std::uint64_t{is_output && (outcome.tags.popped != 0 || outcome.tags.pushed() != 0)};
    }
}

void Tally::add(const Tally& other) {
    for (std::size_t reason = 0; reason < drop_count; ++reason)
        drops[reason] += other.drops[reason];
    walks += other.walks;
    steps += other.steps;
    outputs += other.outputs;
    edited += other.edited;
    retagged += other.retagged;
    punts += other.punts;
    patches += other.patches;
    buckets += other.buckets;
    conjunctions += other.conjunctions;
    several += other.several;
}

Pair::Pair(const TableLimits& limits, std::uint64_t hash_key)
    : tables_{std::make_unique<Tables>(limits, 1, reclaimer_, hash_key)},
      worker_{std::make_unique<PipelineWorker>(tables_->worker_counters(0))},
      burst_{std::make_unique<Burst>()},
      story_{std::make_unique<Story>()} {
    spec_.bridges.emplace_back();
    spec_.bridges[0].tables[0];
    counted_.emplace_back();
    commit();
}

Pair::~Pair() {
    held_.clear();
    reclaimer_.run_before(never);
}

// -- changes

BridgeId Pair::bridge(const std::string& name) {
    const BridgeId id = *tables_->bridge_id(name);
    if (index(id) >= spec_.bridges.size())
        spec_.bridges.resize(index(id) + 1u);
    // Frames to 01:80:c2:00:00:0x are the worker's business, not the tables'.
    tables_->set_bridge(id, {.reserved_multicast = ReservedMulticast::pass, .learning = false});
    return id;
}

PortId Pair::mention_port(BridgeId bridge, const std::string& name) {
    const PortId id = *tables_->port_id(bridge, name);
    spec_.bridges[index(bridge)].numbers[name] = tables_->port_number(id);
    return id;
}

PortId Pair::port(BridgeId bridge, const std::string& name, const PortSettings& settings) {
    const PortId id = mention_port(bridge, name);
    const bool is_new = spec_.find(id) == nullptr;
    check(tables_->set_port(id, settings).empty() || is_new);
    SpecBridge& of = spec_.bridges[index(bridge)];
    for (auto& [known, number] : of.numbers)
        number = tables_->port_number(*tables_->port_id(bridge, known));
    std::erase_if(of.ports, [&](const SpecPort& port) { return port.id == id; });
    of.ports.push_back(
        {name, id, tables_->port_number(id), settings.is_patch, settings.peer, settings.down}
    );
    std::sort(of.ports.begin(), of.ports.end(), [](const SpecPort& a, const SpecPort& b) {
        return a.number < b.number;
    });
    if (is_new && !settings.is_patch)
        set_link(id, true);
    return id;
}

void Pair::erase_port(BridgeId bridge, PortId port) {
    tables_->erase_port(port);
    std::erase_if(spec_.bridges[index(bridge)].ports, [&](const SpecPort& known) {
        return known.id == port;
    });
}

void Pair::set_link(PortId port, bool up) {
    tables_->set_link(port, up);
    links_[port] = up;
}

void Pair::group(BridgeId bridge, std::uint32_t number, const GroupSettings& settings) {
    tables_->set_group(bridge, *tables_->group_id(bridge, number), settings);
    spec_.bridges[index(bridge)].groups.insert_or_assign(number, settings);
}

void Pair::erase_group(BridgeId bridge, std::uint32_t number) {
    tables_->erase_group(*tables_->group_id(bridge, number));
    spec_.bridges[index(bridge)].groups.erase(number);
}

void Pair::meter(BridgeId bridge, std::uint32_t number) {
    tables_->set_meter(*tables_->meter_id(bridge, number));
    spec_.bridges[index(bridge)].meters.insert(number);
}

void Pair::erase_meter(BridgeId bridge, std::uint32_t number) {
    tables_->erase_meter(*tables_->meter_id(bridge, number));
    spec_.bridges[index(bridge)].meters.erase(number);
}

SpecTable& Pair::table(BridgeId bridge, std::uint32_t number) {
    return spec_.bridges[index(bridge)].tables[number];
}

void Pair::miss(BridgeId bridge, std::uint32_t number, std::optional<Actions> actions) {
    tables_->set_table(*tables_->table_id(bridge, number), {.miss = actions, .counters = true});
    table(bridge, number).miss = std::move(actions);
    table(bridge, number).has_row = true;
}

void Pair::insert(
    BridgeId bridge,
    std::uint32_t number,
    std::uint32_t priority,
    const Match& match,
    const Actions& actions,
    std::uint64_t cookie
) {
    auto rule =
        tables_->insert_rule({*tables_->table_id(bridge, number), priority, match, actions, cookie}
        );
    check(rule.has_value());
    table(bridge, number)
        .rules.push_back({priority, match, actions, cookie, *rule, counted_.size()});
    counted_.emplace_back();
}

void Pair::erase(BridgeId bridge, std::uint32_t number, std::size_t place) {
    std::vector<SpecRule>& rules = table(bridge, number).rules;
    tables_->erase_rule(rules[place].handle);
    rules[place] = std::move(rules.back());
    rules.pop_back();
}

void Pair::replace(
    BridgeId bridge, std::uint32_t number, std::size_t place, const Actions& actions
) {
    SpecRule& rule = table(bridge, number).rules[place];
    rule.actions = actions;
    auto made = tables_->replace_rule(
        rule.handle,
        {*tables_->table_id(bridge, number), rule.priority, rule.match, rule.actions, rule.cookie}
    );
    check(made.has_value());
    rule.handle = *made;
}

const std::vector<SpecRule>& Pair::rules(BridgeId bridge, std::uint32_t number) {
    return table(bridge, number).rules;
}

// -- generations

void Pair::commit() {
    const World& world = tables_->commit();
    reclaimer_.shown(world.generation);
    held_.push_back({&world, std::make_shared<const SpecWorld>(spec_)});
    // What a switch does in the background, in slices between commits.
    if (const auto job = tables_->next_plan())
        tables_->adopt(job->table, plan_tuples(job->sample, 1));
    tables_->tidy(16);
}

void Pair::release(std::size_t which) {
    check(which + 1 < held_.size());
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(which));
    reclaimer_.run_before(held_.front().world->generation);
}

// -- packets

std::shared_ptr<const Program> Pair::compile(BridgeId bridge, const Actions& actions) {
    return tables_->compile(bridge, actions);
}

Depth Pair::depth_of(const Question& question, const Held& held) {
    Depth depth = held.world->depth;
    if (question.program != nullptr)
        depth.add(question.program->words, question.program->shapes);
    return depth;
}

Asked Pair::asked(
    const Question& question, const Held& held, test::OwnedPacket& packet, Drop& parsed
) const {
    Asked asked;
    asked.bridge = index(question.bridge);
    asked.ingress = question.ingress;
    asked.bytes = packet.packet.bytes;
    asked.first = question.first.get();
    const SpecPort* const ingress = held.spec->find(question.ingress);
    const PortNumber inport = ingress == nullptr ? PortNumber::none : ingress->number;
    FlowKey shallow;
    parsed = parse(packet.packet, inport, depth_of(question, held), shallow);
    static_cast<void>(parse(packet.packet, inport, Depth{}, asked.key));
    if (parsed == Drop::none)
        asked.name = test::naive_name(packet.packet, asked.key.shape());
    return asked;
}

void Pair::load(std::size_t lane, test::OwnedPacket& packet) {
    burst_->packet[lane] = packet.packet;
}

std::optional<std::string> Pair::ask(const Question& question, std::size_t which, Walk* walk) {
    const Held& held = held_[which];
    test::OwnedPacket packet{question.bytes};
    Drop parsed{};
    const Asked asked = this->asked(question, held, packet, parsed);

    burst_->count = 1;
    burst_->bridge = question.bridge;
    burst_->ingress = question.ingress;
    load(0, packet);
    story_->count = 0;
    story_->cut = false;
    worker_->story = story_.get();
    if (question.program != nullptr)
        process_with(*burst_, *question.program, *held.world, *worker_);
    else
        process(*burst_, *held.world, *worker_);
    worker_->story = nullptr;
    if (parsed != Drop::none)
        return burst_->why[0] == parsed && burst_->effects.first[0] == Effect::none
                   ? std::nullopt
                   : std::optional<std::string>{"a packet that parse refused went on"};

    Walk wanted = interpret(*held.spec, links_, asked);
    auto difference = compare_steps(wanted);
    if (!difference)
        difference = compare_effects(wanted, asked, question.bytes, 0);
    if (!difference) {
        const Depth depth = depth_of(question, held);
        for (std::size_t word = 0; word < key_words && !difference; ++word) {
            const bool filled =
                (depth.words >> word & 1) != 0 && (depth.l3 || (Depth::l3_words >> word & 1) == 0);
            const std::uint64_t mask =
                word == 0 && !depth.l3 ? 0x0003'ffff'ffff'ffff : ~std::uint64_t{0};
            if (filled && (burst_->key[0].word[word] & mask) != (wanted.key.word[word] & mask))
                difference = "the keys at the end differ in word " + std::to_string(word);
        }
    }
    tally_.add(wanted, asked.key);
    if (difference)
        *difference += ", at generation " + std::to_string(held.world->generation) +
                       "; the walk should be" + describe(wanted);
    if (walk != nullptr)
        *walk = std::move(wanted);
    return difference;
}

std::optional<std::string> Pair::ask_burst(std::span<const Question> questions, std::size_t which) {
    const Held& held = held_[which];
    check(!questions.empty() && questions.size() <= burst_max);
    std::vector<Walk> walks(questions.size());
    std::vector<Asked> all(questions.size());
    std::vector<Drop> parsed(questions.size());
    std::vector<std::unique_ptr<test::OwnedPacket>> packets;
    for (std::size_t lane = 0; lane < questions.size(); ++lane) {
        if (auto difference = ask(questions[lane], which, &walks[lane]))
            return difference;
        packets.push_back(std::make_unique<test::OwnedPacket>(questions[lane].bytes));
        all[lane] = asked(questions[lane], held, *packets[lane], parsed[lane]);
    }
    for (std::size_t lane = 0; lane < questions.size(); ++lane)
        load(lane, *packets[lane]);
    burst_->count = static_cast<std::uint32_t>(questions.size());
    burst_->bridge = questions[0].bridge;
    burst_->ingress = questions[0].ingress;
    if (questions[0].program != nullptr)
        process_with(*burst_, *questions[0].program, *held.world, *worker_);
    else
        process(*burst_, *held.world, *worker_);
    test::spell_out_plain(*burst_);
    all_counted_ = all_counted_ && !effects_full();
    for (std::size_t lane = 0; lane < questions.size(); ++lane) {
        if (parsed[lane] != Drop::none)
            continue;
        for (const SpecRule* hit : walks[lane].hits) {
            ++counted_[hit->row].packets;
            counted_[hit->row].bytes += all[lane].bytes;
        }
        if (auto difference = compare_effects(walks[lane], all[lane], questions[lane].bytes, lane))
            return "in a burst of " + std::to_string(questions.size()) + ", lane " +
                   std::to_string(lane) + ": " + *difference;
    }
    return std::nullopt;
}

std::optional<std::string> Pair::compare_counters() const {
    if (!all_counted_)
        return std::nullopt;
    for (const SpecBridge& bridge : spec_.bridges)
        for (const auto& [number, table] : bridge.tables)
            for (const SpecRule& rule : table.rules) {
                const RowCounters got = tables_->counters(*rule.handle);
                const Counts& wanted = counted_[rule.row];
                if (got.packets != wanted.packets || got.bytes != wanted.bytes)
                    return "a rule of table " + std::to_string(number) + " counts " +
                           std::to_string(got.packets) + " packets, " + std::to_string(got.bytes) +
                           " bytes; it was hit by " + std::to_string(wanted.packets) + ", " +
                           std::to_string(wanted.bytes);
            }
    return std::nullopt;
}

} // namespace weft::oracle
