// DPDK's own log lines: kept while a device is opened, so that the reason of a failure can be told.
#pragma once

#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace weft {

/// Takes the place of DPDK's log stream for the life of the process. Lines that nobody captures are
/// thrown away: what matters to an operator comes back as a result.
class DpdkLog {
public:
    DpdkLog(); // makes itself the stream
    ~DpdkLog();
    DpdkLog(const DpdkLog&) = delete;
    DpdkLog& operator=(const DpdkLog&) = delete;

    /// Keeps what the calling thread logs from now on; one thread at a time.
    void begin();
    /// The lines since begin().
    std::vector<std::string> end();

private:
    static ssize_t write(void* self, const char* text, std::size_t bytes);

    std::mutex mutex_;
    std::thread::id capturing_;
    std::string captured_;
    std::FILE* stream_ = nullptr;
};

/// The part of `lines` that says why an attempt failed, as the end of a sentence: without the names
/// of functions and without the lines by which EAL reports that somebody else reported a failure.
/// Empty where there is nothing else.
std::string reason_in(const std::vector<std::string>& lines);

} // namespace weft
