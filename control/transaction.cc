#include "control/transaction.hh"

#include "control/holders.hh"
#include "control/ops_by_key.hh"

#include <algorithm>

namespace weft {

namespace {

/// The ops that name one value of one key.
struct Value {
    PreparedOp* first = nullptr;
    PreparedOp* asserts = nullptr; // the last op that adds it
    std::int64_t weight = 0;
    bool upserted = false;
    bool before = false; // it is the row that stands

    /// An upsert of the row that stands sums to zero and still says that the owner wants it.
    bool asserted() const noexcept { return weight > 0 || (before && upserted && weight == 0); }
    bool withdrawn() const noexcept { return weight < 0; }
};

std::int64_t clamped_sum(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum)) // only the sign counts in the end
        return a < 0 ? std::int64_t{-1} << 62 : std::int64_t{1} << 62;
    return sum;
}

class Consolidation {
public:
    Consolidation(const RowStore& rows, TransactionInput& input)
        : rows_{rows},
          holdings_{rows.holdings()},
          holders_{rows.holdings()},
          input_{input},
          keys_{input.ops} {
        net_.owner = input.owner;
        net_.changes.reserve(input.ops.size());
        net_.asserted.reserve(input.ops.size());
    }

    Judged<NetChange> run() {
        constexpr std::uint32_t ahead = 8; // the index of a million rows is in no cache
        for (std::uint32_t i = 0; i < input_.ops.size(); ++i) {
            if (i + ahead < input_.ops.size()) {
                const CanonicalRow& soon = input_.ops[i + ahead].row;
                rows_.prefetch(soon.relation, soon.hash);
            }
            if (keys_.is_first(i))
                judge_key(i);
        }
        if (fault_)
            return tl::unexpected{std::move(*fault_)};
        if (input_.replace)
            withdraw_the_rest();
        if (input_.sweep)
            sweep();
        return std::move(net_);
    }

private:
    void refuse(const PreparedOp& op, std::string code, std::string message) {
        blame(op, std::move(code), std::move(message));
    }
    /// False where an earlier op is at fault already.
    bool blame(const PreparedOp& op, std::string code, std::string message) {
        if (fault_ && *fault_->op <= op.index)
            return false;
        fault_ = Fault{
            .code = std::move(code),
            .message = describe(op.row.relation, op.row.bytes, true) + ": " + std::move(message),
            .path = std::string{name(op.row.relation)},
            .op = op.index,
        };
        return true;
    }

    Value& value_of(PreparedOp& op) {
        for (Value& value : values_)
            if (value.first->row.bytes == op.row.bytes)
                return value;
        values_.push_back({.first = &op});
        values_.back().before = before_ != nullptr && before_->bytes() == op.row.bytes;
        return values_.back();
    }
    void withdraw_before(PreparedOp& op) {
        if (before_ != nullptr) {
            before_weight_ = clamped_sum(before_weight_, -1);
            if (before_op_ == nullptr)
                before_op_ = &op;
        }
    }
    void sum(PreparedOp& op) {
        if (op.verb == Verb::erase) {
            withdraw_before(op);
            erased_ = &op;
            return;
        }
        Value& value = value_of(op);
        if (op.verb == Verb::upsert) {
            withdraw_before(op);
            value.upserted = true;
        }
        const std::int64_t weight = op.verb == Verb::upsert ? 1 : op.weight;
        value.weight = clamped_sum(value.weight, weight);
        if (weight > 0)
            value.asserts = &op;
    }

    void judge_key(std::uint32_t first) {
        values_.clear();
        before_weight_ = 0;
        before_op_ = erased_ = nullptr;
        const CanonicalRow& key = input_.ops[first].row;
        before_ = rows_.find(key.relation, key.key(), key.hash);
        for (std::uint32_t i = first; i != OpsByKey::none; i = keys_.next(i)) {
            if (!condition_holds(input_.ops[i]))
                return;
            sum(input_.ops[i]);
        }

        const Value* wanted = nullptr;
        const Value* upserted = nullptr;
        bool withdrawn = before_weight_ < 0;
        const PreparedOp* withdrawer = before_op_;
        for (Value& value : values_) {
            if (value.before) {
                value.weight = clamped_sum(value.weight, before_weight_);
                withdrawn = value.withdrawn();
                if (withdrawer == nullptr || value.first->index < withdrawer->index)
                    withdrawer = value.first;
            }
            // Two upserts of one key contradict each other, also where one of them gives what
            // stands.
            if (value.upserted && upserted != nullptr)
                return refuse_two(*upserted->asserts, *value.asserts);
            if (value.upserted)
                upserted = &value;
            if (!value.asserted())
                continue;
            if (wanted != nullptr)
                return refuse_two(*wanted->asserts, *value.asserts);
            wanted = &value;
        }
        const std::size_t others =
            values_.size() -
            static_cast<std::size_t>(std::count_if(
                values_.begin(),
                values_.end(),
                [&](const Value& value) { return &value == wanted || value.before; }
            ));
        if (before_ == nullptr)
            return judge_new(wanted, others);
        judge_known(wanted, withdrawn, withdrawer, others);
    }
    void refuse_two(const PreparedOp& a, const PreparedOp& b) {
        const auto [first, second] = std::minmax(a.index, b.index);
        refuse(
            a.index > b.index ? a : b,
            "key_conflict",
            "ops " + std::to_string(first) + " and " + std::to_string(second) +
                " give one key two values: one of them must leave in the transaction"
        );
    }

    /// What an op asks of the row that stood before the transaction.
    bool condition_holds(const PreparedOp& op) {
        if (op.if_absent && before_ != nullptr)
            return refuse_cas(op, "the row stands and must not");
        if (!op.if_version)
            return true;
        if (before_ == nullptr)
            return refuse_cas(op, "no such row stands");
        return *op.if_version == before_->version ||
               refuse_cas(
                   op,
                   "the row stands at version " + std::to_string(before_->version) +
                       " and not at " + std::to_string(*op.if_version)
               );
    }
    bool refuse_cas(const PreparedOp& op, std::string why) {
        if (!blame(op, "cas_failed", std::move(why)))
            return false;
        fault_->current_version =
            before_ != nullptr ? before_->version : rows_.tombstone(op.row.relation, op.row.key());
        if (before_ != nullptr)
            fault_->current_row =
                std::make_shared<const control::Row>(to_message(before_->relation, before_->bytes())
                );
        return false;
    }
    /// A delete that overtook the row which it deletes: the row must not come after it.
    void bury() {
        const PreparedOp* newest = erased_;
        for (const Value& value : values_)
            if (value.withdrawn() && (newest == nullptr || value.first->version > newest->version))
                newest = value.first;
        if (newest != nullptr &&
            newest->version > rows_.tombstone(newest->row.relation, newest->row.key()))
            net_.graves.push_back(newest);
    }

    /// No row has the key.
    void judge_new(const Value* wanted, std::size_t others) {
        net_.unchanged += static_cast<std::uint32_t>(others + (erased_ != nullptr ? 1 : 0));
        if (wanted == nullptr)
            return bury();
        PreparedOp& op = *wanted->asserts;
        const std::uint64_t version = rows_.tombstone(op.row.relation, op.row.key());
        if (op.version != 0 && op.version <= version)
            return refuse_stale(op, version, "was deleted at");
        ++net_.added;
        net_.asserted.push_back(&op);
        net_.changes.push_back(
            {.kind = RowChange::Kind::add, .before = nullptr, .op = &op, .owners = {}}
        );
    }

    void judge_known(
        const Value* wanted, bool withdrawn, const PreparedOp* withdrawer, std::size_t others
    ) {
        const Holdings::Holding& holding = holdings_.at(before_->holding);
        const bool in_target = input_.replace && is_target(holding, before_->relation);
        if (wanted != nullptr && wanted->before)
            return keep(*wanted->asserts, holding, in_target, others);
        std::vector<OwnerId> left = left_after(holding, withdrawn, in_target);
        if (wanted != nullptr)
            return exchange(*wanted->asserts, holding, left, withdrawn || in_target, others);
        if (withdrawn && withdrawer->version != 0 && withdrawer->version < before_->version)
            return refuse_stale(*withdrawer, before_->version, "stands at");
        // A -1 of another value than the one that this owner has here is a mistake, not a repeat.
        const bool ours =
            holders_.hold(holding.owners, input_.owner) || holders_.nobodys(holding.owners);
        if (others != 0 && !withdrawn && !in_target && ours)
            for (const Value& value : values_)
                if (!value.before && value.withdrawn())
                    return refuse(
                        *value.first,
                        "key_conflict",
                        "the row that stands has another value than the one to remove (" +
                            shown(*before_) + ")"
                    );
        net_.unchanged += static_cast<std::uint32_t>(others);
        if (withdrawn || in_target)
            leave(*before_, std::move(left), withdrawn ? withdrawer->version : 0);
        else if (withdrawer != nullptr) // named, and comes to nothing
            ++net_.unchanged;
    }

    /// The row stands and is wanted: nothing changes but who holds it, and under which scope and
    /// version.
    void
    keep(PreparedOp& op, const Holdings::Holding& holding, bool in_target, std::size_t others) {
        net_.unchanged += static_cast<std::uint32_t>(others + 1);
        if (op.version != 0 && op.version < before_->version)
            return refuse_stale(op, before_->version, "stands at");
        // Its owner holds it in this life from now on.
        std::vector<OwnerId> owners =
            holders_.without(holders_.live(holding.owners), holdings_.name(input_.owner));
        owners.push_back(input_.owner);
        std::sort(owners.begin(), owners.end());
        const bool scope_scoped_replace = in_target && !input_.replace->scope.empty();
        if (op.scope != holding.scope && owners.size() > 1 && !scope_scoped_replace)
            return refuse(
                op,
                "conflict",
                "owners " + holders_.names(owners) + " hold the row, and in scope " +
                    quoted(holding.scope) + ": scope " + quoted(op.scope) + " disagrees"
            );
        net_.asserted.push_back(&op);
        if (op.scope == holding.scope && owners == holding.owners &&
            (op.version == 0 || op.version == before_->version))
            return;
        net_.changes.push_back({
            .kind = RowChange::Kind::hold,
            .before = before_,
            .op = &op,
            .owners = std::move(owners),
        });
    }

    /// Another value comes under the key.
    void exchange(
        PreparedOp& op,
        const Holdings::Holding& holding,
        const std::vector<OwnerId>& left,
        bool leaves,
        std::size_t others
    ) {
        if (!left.empty()) {
            const std::vector<OwnerId> theirs =
                holders_.without(left, holdings_.name(input_.owner));
            if (theirs.empty() || (holders_.nobodys(holding.owners) && !leaves))
                return refuse(
                    op,
                    "key_conflict",
                    "the key is taken by a row with another value (" + shown(*before_) +
                        "): remove that row in the same transaction, or upsert"
                );
            return refuse(
                op,
                "conflict",
                "owner " + holders_.names(theirs) + " holds the key with another value (" +
                    shown(*before_) + ")"
            );
        }
        const std::uint64_t version =
            std::max(before_->version, rows_.tombstone(op.row.relation, op.row.key()));
        if (op.version != 0 && op.version <= version)
            return refuse_stale(op, version, "stands at");
        net_.unchanged += static_cast<std::uint32_t>(others);
        ++net_.added;
        ++net_.removed;
        net_.asserted.push_back(&op);
        net_.changes.push_back({
            .kind = RowChange::Kind::replace,
            .before = before_,
            .op = &op,
            .owners = {},
        });
    }

    /// The owners that hold the row when this transaction is through with it, if it does not assert
    /// it.
    std::vector<OwnerId>
    left_after(const Holdings::Holding& holding, bool withdrawn, bool in_target) const {
        if (in_target && !input_.replace->owner)
            return {}; // the scope's rows are what the transaction says, whoever said otherwise
        if (!withdrawn && !in_target)
            return holders_.nobodys(holding.owners) ? holding.owners
                                                    : holders_.live(holding.owners);
        return holders_.without(holders_.live(holding.owners), holdings_.name(input_.owner));
    }
    void leave(Row& row, std::vector<OwnerId> left, std::uint64_t version) {
        if (left.empty()) {
            ++net_.removed;
            net_.changes.push_back({
                .kind = RowChange::Kind::remove,
                .before = &row,
                .op = nullptr,
                .owners = {},
                .version = version,
            });
            return;
        }
        ++net_.unchanged;
        if (left != holdings_.at(row.holding).owners)
            net_.changes.push_back({
                .kind = RowChange::Kind::hold,
                .before = &row,
                .op = nullptr,
                .owners = std::move(left),
            });
    }

    bool is_target(const Holdings::Holding& holding, Relation relation) const {
        const ReplaceOf& of = *input_.replace;
        return of.relations[static_cast<std::size_t>(relation)] &&
               (of.scope.empty() || of.scope == holding.scope) &&
               (!of.owner || holders_.hold(holding.owners, *of.owner));
    }
    void withdraw_the_rest() {
        holdings_.for_each([&](HoldingId id, const Holdings::Holding& holding) {
            for (const Relation relation : relations) {
                if (!is_target(holding, relation))
                    continue;
                rows_.for_each_held(id, relation, [&](Row& row) {
                    if (!keys_.names(row))
                        leave(row, left_after(holding, true, true), 0);
                });
            }
        });
    }

    void sweep() {
        const SweepOf& of = *input_.sweep;
        const auto swept = [&](OwnerId owner) {
            const Life& life = holdings_.life(owner);
            return life.name == of.owner && (of.ephemeral ? life.ephemeral : life.epoch < of.epoch);
        };
        holdings_.for_each([&](HoldingId id, const Holdings::Holding& holding) {
            if ((!of.scope.empty() && of.scope != holding.scope) ||
                std::none_of(holding.owners.begin(), holding.owners.end(), swept))
                return;
            for (const Relation relation : relations) {
                if (!of.relations[static_cast<std::size_t>(relation)])
                    continue;
                rows_.for_each_held(id, relation, [&](Row& row) {
                    if (!keys_.names(row) && !(input_.replace && is_target(holding, relation)))
                        leave(row, holders_.without(holders_.live(holding.owners), of.owner), 0);
                });
            }
        });
    }

    void refuse_stale(const PreparedOp& op, std::uint64_t version, std::string_view how) {
        if (blame(
                op,
                "stale_version",
                "version " + std::to_string(op.version) + " is not newer than " +
                    std::to_string(version) + ", which the row " + std::string{how}
            ))
            fault_->current_version = version;
    }
    /// The value of a row, for messages: the fields that are not its key.
    static std::string shown(const Row& row) {
        constexpr std::size_t shown_max = 160;
        if (row.relation == Relation::flow) {
            const control::Row message = to_message(row.relation, row.bytes());
            return "actions " + message.flow().actions().substr(0, shown_max);
        }
        return describe(row.relation, row.bytes());
    }

    const RowStore& rows_;
    const Holdings& holdings_;
    const Holders holders_;
    TransactionInput& input_;
    const OpsByKey keys_;

    // of the key being judged
    Row* before_ = nullptr;
    std::vector<Value> values_;
    std::int64_t before_weight_ = 0; // of the row that stands, from upserts and deletes by key
    PreparedOp* before_op_ = nullptr;
    PreparedOp* erased_ = nullptr;

    std::optional<Fault> fault_;
    NetChange net_;
};

} // namespace

Judged<NetChange> consolidate(const RowStore& rows, TransactionInput& input) {
    return Consolidation{rows, input}.run();
}

} // namespace weft
