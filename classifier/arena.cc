#include "classifier/arena.hh"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace weft {

namespace {

constexpr std::size_t large_page = std::size_t{2} << 20;
constexpr std::size_t chunk_lines_min = 16, chunk_lines_max = large_page / cache_line;

} // namespace

void* take_lines(std::size_t lines) {
    const std::size_t bytes = lines * cache_line;
    if (bytes < large_page) {
        void* memory = std::aligned_alloc(cache_line, bytes);
        if (memory == nullptr)
            std::abort();
        return std::memset(memory, 0, bytes);
    }
    // Aligned to the large page, so that every part of it can be one.
    const std::size_t all = bytes + large_page;
    void* const mapped =
        mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        std::abort();
    const auto begin = reinterpret_cast<std::uintptr_t>(mapped);
    const std::uintptr_t aligned = (begin + large_page - 1) / large_page * large_page;
    const std::size_t kept = (bytes + 4095) / 4096 * 4096;
    if (aligned != begin)
        munmap(mapped, aligned - begin);
    if (const std::uintptr_t end = aligned + kept; end != begin + all)
        munmap(reinterpret_cast<void*>(end), begin + all - end);
    void* const memory = reinterpret_cast<void*>(aligned);
    madvise(memory, kept, MADV_HUGEPAGE); // a hint: without it pages are small
    return memory;
}

void give_lines(void* memory, std::size_t lines) noexcept {
    const std::size_t bytes = lines * cache_line;
    if (bytes < large_page)
        std::free(memory);
    else
        munmap(memory, (bytes + 4095) / 4096 * 4096);
}

void* Arena::take(std::size_t bytes) {
    const std::size_t lines = (bytes + cache_line - 1) / cache_line;
    if (lines > piece_lines_max) {
        bytes_ += lines * cache_line;
        return take_lines(lines);
    }
    if (FreePiece* piece = free_[lines]; piece != nullptr) {
        free_[lines] = piece->next;
        __builtin_prefetch(piece->next, 1); // asked for next
        return piece;
    }
    if (left_lines_ < lines) {
        // What is left of the old chunk serves smaller pieces.
        if (left_lines_ != 0)
            give(at_, left_lines_ * cache_line);
        // In proportion, so that little is left over; whole large pages as soon as that is little.
        const std::size_t all = bytes_ / cache_line;
        const std::size_t wanted =
            all < 2 * chunk_lines_max ? std::max(all / 4, chunk_lines_min) : chunk_lines_max;
        const std::size_t fresh = std::max(wanted, lines);
        chunks_.push_back(Chunk{take_lines(fresh), {fresh}});
        bytes_ += fresh * cache_line;
        at_ = static_cast<std::byte*>(chunks_.back().get());
        left_lines_ = fresh;
    }
    void* const piece = at_;
    at_ += lines * cache_line;
    left_lines_ -= lines;
    return piece;
}

void Arena::give(void* piece, std::size_t bytes) noexcept {
    const std::size_t lines = (bytes + cache_line - 1) / cache_line;
    if (lines > piece_lines_max) {
        bytes_ -= lines * cache_line;
        give_lines(piece, lines);
        return;
    }
    auto* free = new (piece) FreePiece{free_[lines]};
    free_[lines] = free;
}

} // namespace weft
