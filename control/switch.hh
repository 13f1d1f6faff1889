// The control thread's engine: answers decoded requests, turns transactions into generations, and
// tells what happens.
#pragma once

#include "control/deadlines.hh"
#include "control/events.hh"
#include "control/expiry.hh"
#include "control/leases.hh"
#include "control/log.hh"
#include "control/lowering.hh"
#include "control/macs.hh"
#include "control/planner.hh"
#include "control/ports.hh"
#include "control/ports_backend.hh"
#include "control/rows/references.hh"
#include "control/rows/store.hh"
#include "control/service.hh"
#include "control/transaction.hh"
#include "control/transaction_ids.hh"
#include "pipeline/tables.hh"

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace weft {

struct SwitchConfig {
    std::string node{};    // hello; the host's name
    std::string version{}; // of weftd
    TableLimits tables{};  // those that `tables` was made with
    RowLimits rows{};
    EventLimits events{};
    std::size_t ops_slice =
        2'048; // ops of a large transaction that are prepared before others get their turn
    std::size_t ops_max = 1'048'576; // of one transaction, all parts together
    std::size_t transaction_bytes_max = std::size_t{256} << 20; // of rows of one transaction
    std::size_t transaction_terms_max =
        std::size_t{4} << 20; // of all matches in one transaction: a short text may have 4,096
    std::size_t waiting_max = 1'024; // requests of one session behind its large transaction
    std::uint32_t grace_ms = 10'000; // that ephemeral rows outlive their client, unless it says so
    std::function<void(Severity, std::string_view)>
        log{}; // audit lines and warnings; none: nowhere
};

/// One per process, owned by the thread that runs the control socket; that thread makes every call.
/// Nothing here waits, and nothing that a request does depends on how many rows it does not touch,
/// but what is asked for: a page of rows, a report.
///
/// Each accepted transaction is one generation, published before it is answered. Several that
/// arrive together are answered each with its own.
class Switch final : public Service, public BackendEvents {
public:
    /// `tables` was attached to the backend's workers. Publishes its first generation.
    Switch(SwitchConfig config, Tables& tables, PortsBackend& backend);
    ~Switch() override;
    Switch(const Switch&) = delete;
    Switch& operator=(const Switch&) = delete;

    // Service
    void connected(Session& session) override;
    void disconnected(Session& session) override;
    void handle(Session& session, control::Request& request) override;
    void refuse(Session& session, const control::Nak& nak) override;

    // BackendEvents
    void port_changed(PortId port, const DeviceState& state) override;
    void punted(const PuntedPacket& packet) override;
    void mac_seen(const Learned& learned) override;
    void trace_done(std::uint64_t ticket, std::unique_ptr<Story> story) override;
    void packet_out_done(std::uint64_t ticket, bool sent) override;
    void worker_stalled(WorkerId worker, std::uint64_t ms) override;

    /// Does what is due: a slice of large transactions, barriers, timeouts, learned addresses. Call
    /// it after backend events were delivered, and again after as many milliseconds as it returns
    /// (0: at once, more work waits).
    std::uint64_t poll();

    const RowStore& rows() const noexcept { return rows_; }
    std::uint64_t epoch() const noexcept { return epoch_; }

private:
    struct Parts;  // of one transaction
    struct Client; // one session
    struct Barrier {
        std::uint64_t session = 0;
        Ticket ticket{};
        std::string id;
        Generation generation = 0;
        std::uint64_t until_ms = 0;
    };
    struct Out {                   // a packet-out or a trace on its way
        std::uint64_t session = 0; // 0: the session is gone
        Ticket ticket{};
        std::string id;
        std::uint64_t content = 0;
        std::shared_ptr<AcceptedIds> ids;
        std::shared_ptr<const Program> program;
        BridgeId bridge{};
    };
    struct RowCount {
        std::uint32_t added = 0, removed = 0, unchanged = 0;
    };
    /// Where a reply goes: straight back, or to a request that was put off.
    struct To {
        Client& client;
        std::optional<Ticket> ticket;
    };

    Client& client(Session& session);
    Client* client(std::uint64_t number);
    void reply(const To& to, const control::Reply& reply);
    void refuse(const To& to, const std::string& id, Error error);
    void refuse(const To& to, const std::string& id, Fault fault);
    void done(const To& to, const std::string& id);
    Ticket ticket_of(const To& to);
    void dispatch(const To& to, control::Request& request);

    // switch_transactions.cc
    void start(const To& to, control::Transaction& transaction);
    bool prepare_slice(Client& client);
    void finish(Client& client);
    void judge_and_commit(const To& to, Parts& parts);
    Judged<TransactionInput> input_of(Client& client, Parts& parts);
    bool answer_repeat(const To& to, const std::string& id, std::uint64_t content);
    std::optional<Fault> apply(NetChange& net, RowCount& counts);
    void live_until(const CanonicalRow& of, std::uint64_t end_ms);
    void publish(const std::vector<Applied>& applied, Generation generation);
    void log(Severity severity, std::string_view line) const;
    void audit(std::string_view client, std::string_view id, const RowCount& counts);
    void write_audit_lines();
    OwnerId owner_of(Client& client, bool ephemeral = false);
    void forget_owner(Client& client);
    std::optional<Fault>
    judge_leases(const Parts& parts, const NetChange& net, const Client& client) const;
    std::shared_ptr<AcceptedIds> ids_of(Client& client);

    // switch_runtime.cc
    void expire();
    void end_lives();
    void reap(const std::string& owner);
    void learn();
    static control::Reply passed_barrier(const std::string& id, Generation generation);
    void answer_barriers();
    void tell_full(const Fault& fault);
    void tell_limit(std::string limit, std::uint64_t value, std::string message);

    // answers_rows.cc
    void answer(const To& to, const control::Hello& request);
    void answer(const To& to, const control::Get& request);
    void answer(const To& to, const control::Digest& request);
    void answer(const To& to, const control::Pending& request);
    std::vector<control::DigestEntry> digests(
        const std::string& scope, std::optional<Relation> relation, const Partition& partition
    ) const;
    control::StoredRow stored(const Row& row) const;
    Result<void> get_ports(const control::Get& request, std::size_t max, control::Rows& rows) const;
    Result<void> get_macs(const control::Get& request, std::size_t max, control::Rows& rows) const;

    // answers_control.cc
    void answer(const To& to, const control::Watch& request);
    void answer(const To& to, const control::Unwatch& request);
    void answer(const To& to, const control::Barrier& request);
    void answer(const To& to, const control::Lease& request);
    void answer(const To& to, const control::Release& request);
    void answer(const To& to, const control::Clock& request);
    void answer(const To& to, control::PacketOut& request);

    // answers_stats.cc
    void answer(const To& to, const control::Stats& request);
    void answer(const To& to, const control::Explain& request);

    // answers_trace.cc
    void answer(const To& to, const control::Trace& request);

    /// The standing port of that name, or why there is none.
    Result<PortId> standing_port(const std::string& bridge, const std::string& name) const;
    /// The bridge of that name ("": main) if any row or the switch itself made it.
    Result<BridgeId> known_bridge(const std::string& name) const;

    SwitchConfig config_;
    Tables& tables_;
    Planner planner_{tables_};
    PortsBackend& backend_;
    std::uint64_t epoch_;

    RowStore rows_;
    References references_;
    Lowering lowering_;
    EventLog events_;
    struct AuditLine {
        std::string client;
        std::string id;
        Generation generation = 0;
        RowCount counts;
    };
    std::vector<AuditLine> audit_lines_; // that poll() has to write
    Ports ports_;
    Macs macs_;
    Expiry expiry_;
    Leases leases_;
    std::unordered_map<Row*, RowPtr> mortal_; // rows with a time to live, by their deadlines
    Deadlines<Row*> row_ends_;
    std::set<std::string> ephemeral_owners_; // who asserted ephemeral rows
    Deadlines<std::string> owner_ends_;      // of those, who has been away since

    std::unordered_map<std::uint64_t, std::unique_ptr<Client>> clients_; // by the peer's number
    ClientIds client_ids_;
    std::deque<std::uint64_t> preparing_; // sessions with a large transaction under way, in turns
    std::list<Barrier> barriers_;
    std::unordered_map<std::uint64_t, Out> packet_outs_;
    std::unordered_map<std::uint64_t, Out> traces_;
    std::vector<RowPtr> kept_for_traces_; // rows that left while a trace may still name them
    ActionsMemo memo_;
    std::optional<std::uint64_t> told_full_ms_;
    std::uint64_t accepted_ = 0;
    std::uint64_t refused_ = 0;
};

} // namespace weft
