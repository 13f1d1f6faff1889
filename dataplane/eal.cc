#include "dataplane/eal.hh"

#include <rte_eal.h>
#include <rte_errno.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sched.h>
#include <system_error>
#include <unistd.h>

namespace weft {

namespace {

namespace fs = std::filesystem;

/// Free huge pages of all sizes, in MB.
std::uint64_t free_huge_mb() {
    std::uint64_t sum_kb = 0;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator{"/sys/kernel/mm/hugepages", none}) {
        const std::string name = entry.path().filename(); // hugepages-2048kB
        std::uint64_t pages = 0;
        std::ifstream{entry.path() / "free_hugepages"} >> pages;
        const auto dash = name.find('-');
        if (dash != std::string::npos)
            sum_kb += pages * std::strtoull(name.c_str() + dash + 1, nullptr, 10);
    }
    return sum_kb / 1'024;
}

bool writable(const char* folder) {
    return folder != nullptr && access(folder, W_OK | X_OK) == 0;
}

/// DPDK wants a folder for its run time even where it writes no file. Where the usual ones are
/// closed to us (an ordinary user, root of a user namespace only) it gets a private one, whose path
/// is returned.
std::string private_runtime_folder() {
    if (std::getenv("RUNTIME_DIRECTORY") != nullptr)
        return {};
    if (getuid() == 0 && writable("/var/run") &&
        (access("/var/run/dpdk", F_OK) != 0 || writable("/var/run/dpdk")))
        return {};
    const char* session = std::getenv("XDG_RUNTIME_DIR");
    if (getuid() != 0 && writable(session))
        return {};
    std::string folder = fs::temp_directory_path() / "weft-XXXXXX";
    if (mkdtemp(folder.data()) == nullptr)
        return {};
    setenv("RUNTIME_DIRECTORY", folder.c_str(), 1);
    return folder;
}

std::vector<std::string> arguments(const EalSettings& settings, const Eal& eal) {
    std::string cores;
    for (const unsigned core : settings.control_cores)
        cores += (cores.empty() ? "" : ",") + std::to_string(core);
    std::vector<std::string> args = {
        "weft",
        "--lcores=0@(" + cores + ")",
        "--no-telemetry",
        "--file-prefix=" + (settings.file_prefix.empty() ? "weft-" + std::to_string(getpid())
                                                         : settings.file_prefix),
    };
    if (eal.huge_pages) {
        args.push_back("--in-memory"); // implies --no-shconf
        if (settings.memory_mb != 0)
            args.push_back("-m" + std::to_string(settings.memory_mb));
    } else { // --in-memory is refused together with --no-huge (22.11)
        args.insert(args.end(), {"--no-huge", "--no-shconf", "-m" + std::to_string(eal.memory_mb)});
    }
    // PCI devices are probed when a port asks for one; an address that no device has keeps EAL from
    // taking all of them now.
    if (fs::exists("/sys/bus/pci/devices"))
        args.push_back("--allow=ffff:ff:1f.7");
    else
        args.push_back("--no-pci");
    args.insert(args.end(), settings.extra.begin(), settings.extra.end());
    return args;
}

void run_on(const std::vector<unsigned>& cores) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const unsigned core : cores)
        CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/// Lives as long as the process: main's end runs it after all dataplanes are gone.
class EalProcess {
public:
    explicit EalProcess(const EalSettings& settings) {
        const auto free_mb = free_huge_mb();
        eal.huge_pages = free_mb != 0 && free_mb >= settings.memory_mb;
        eal.memory_mb = settings.memory_mb;
        if (!eal.huge_pages) {
            if (eal.memory_mb == 0)
                eal.memory_mb = default_memory_mb;
            eal.notes.push_back(
                (free_mb == 0
                     ? std::string{"no huge pages"}
                     : "huge pages hold " + std::to_string(free_mb) + " MB, less than memory_mb") +
                ": running on normal memory, at most " + std::to_string(eal.memory_mb) + " MB"
            );
        }
        if (geteuid() != 0)
            eal.notes.push_back(
                "not root: devices of the kernel and PCI devices may not open; files, "
                "rings and null devices do"
            );
        private_folder_ = private_runtime_folder();
        // DPDK's own threads inherit this: none of them may run on a worker's core.
        run_on(settings.control_cores);
        args_ = arguments(settings, eal);
        for (auto& arg : args_)
            argv_.push_back(arg.data());
        eal.log.begin();
        started = rte_eal_init(static_cast<int>(argv_.size()), argv_.data()) >= 0;
        const int code = rte_errno;
        failure = reason_in(eal.log.end());
        if (failure.empty())
            failure = rte_strerror(code);
    }
    ~EalProcess() {
        std::error_code none;
        const std::string runtime = started ? rte_eal_get_runtime_dir() : "";
        if (started)
            rte_eal_cleanup();
        if (!runtime.empty())
            fs::remove(runtime, none); // ours by its prefix; only where nothing is left in it
        if (!private_folder_.empty())
            fs::remove_all(private_folder_, none);
    }
    EalProcess(const EalProcess&) = delete;
    EalProcess& operator=(const EalProcess&) = delete;

    Eal eal;
    bool started = false;
    std::string failure;

private:
    std::string private_folder_;
    std::vector<std::string> args_; // EAL keeps pointers into them
    std::vector<char*> argv_;
};

} // namespace

Result<Eal*> start_eal(const EalSettings& settings) {
    static EalProcess process{settings};
    if (!process.started)
        return fail("eal_failed", "DPDK did not start: " + process.failure);
    return &process.eal;
}

} // namespace weft
