// Behind Dataplane: what it is made of. Control thread only, but for what each part says of itself.
#pragma once

#include "dataplane/cores.hh"
#include "dataplane/dataplane.hh"
#include "dataplane/eal.hh"
#include "dataplane/grace.hh"
#include "dataplane/helper.hh"
#include "dataplane/inbox.hh"
#include "dataplane/monitor.hh"
#include "dataplane/port_keeper.hh"
#include "dataplane/worker.hh"

#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace weft {

struct FreeMemory {
    void operator()(void* memory) const noexcept { std::free(memory); }
};
using QsbrMemory = std::unique_ptr<rte_rcu_qsbr, FreeMemory>;

/// A command that control gave and whose answer it has not read yet.
struct OpenCommand {
    std::size_t worker = 0;
    std::shared_ptr<const Program> actions;
    std::unique_ptr<TraceJob> trace;
};

struct Dataplane::State {
    State(const DataplaneConfig& of, CoreLayout on, Eal& with);
    ~State();

    Result<void> start_workers();
    void handle(Notice notice, DataplaneEvent& event, bool& is_event);
    bool handle(const Report& report, DataplaneEvent& event);
    std::uint64_t command(Command command, OpenCommand open);
    bool is_quiet();
    /// Waits a few microseconds for all workers to run at or past the generation.
    bool pass_soon(Generation generation) const noexcept;
    void stop();

    const DataplaneConfig config;
    const CoreLayout layout;
    Eal& eal;
    std::vector<std::string> notes;
    QsbrMemory qsbr;
    WorkersShared shared;
    Grace grace;
    std::vector<std::function<void()>> unpublished; // retired since the last publish()
    bool releasing = false;
    std::vector<rte_mempool*> pools;
    Inbox inbox;
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<const ReportQueue*> reports;
    // These two use all above; their threads end first.
    std::unique_ptr<Monitor> monitor;
    std::unique_ptr<Helper> helper;
    std::unique_ptr<PortKeeper> ports;

    Tables* tables = nullptr;
    std::deque<DataplaneEvent> ready; // events that are due before what is in the queues
    std::map<std::uint64_t, OpenCommand> open_commands;
    std::vector<std::size_t> open_count; // by worker
    /// Until poll() ends: events may point into them.
    std::vector<std::shared_ptr<const Program>> done_programs;
    std::uint64_t tickets = 0;
    Generation asked_before = 0; // the newest one when passed() was last false
    Generation waited_for = 0;   // the newest one when passed() last waited
    std::size_t next_worker = 0; // whose queue is read first
    bool stopped = false;
    std::uint64_t stopped_tsc = 0;

    // is_quiet(): the workers' books when they last moved, and the passes since.
    std::vector<std::uint64_t> quiet_received, quiet_passes;
};

} // namespace weft
