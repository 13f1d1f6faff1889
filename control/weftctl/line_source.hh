// Lines of a file or of what somebody types, without waiting for more than is there.
#pragma once

#include "base/result.hh"

#include <cstddef>
#include <optional>
#include <string>

namespace weft::ctl {

/// Reads a descriptor by lines. One thread.
class LineSource {
public:
    /// "-": standard input. Fails with one sentence where the file cannot be read.
    static Result<LineSource> open(const std::string& path);
    LineSource(LineSource&& other) noexcept;
    LineSource& operator=(LineSource&&) = delete;
    ~LineSource();

    /// The next line without its newline; waits for it. Nothing at the end; the last line may lack
    /// its newline.
    std::optional<std::string> next();
    /// A line, or part of one, or the end is there to be read at once.
    bool ready() const;
    /// Everything that is left.
    std::string rest();
    /// The number of the line that next() gave last, from 1.
    std::size_t line_number() const noexcept { return line_number_; }

private:
    explicit LineSource(int fd) : fd_{fd} {}
    bool read_more();

    int fd_;
    bool ended_ = false;
    std::string buffer_; // [begin_, end) was not handed out
    std::size_t begin_ = 0;
    std::size_t line_number_ = 0;
};

} // namespace weft::ctl
