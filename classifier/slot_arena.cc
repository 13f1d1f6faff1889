#include "classifier/slot_arena.hh"

#include "base/check.hh"

#include <algorithm>
#include <bit>
#include <cstring>
#include <sys/mman.h>

namespace weft {

SlotArena::SlotArena(std::size_t bytes_max) {
    const std::size_t pages = (bytes_max + page_bytes - 1) / page_bytes;
    check(pages != 0 && pages <= (std::size_t{1} << 32) / (page_bytes / unit));
    reserved_bytes_ = pages * page_bytes;
    // One page more than asked for, so that the first one can begin where a huge page can.
    void* reserved = mmap(
        nullptr,
        reserved_bytes_ + page_bytes,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
        -1,
        0
    );
    check(reserved != MAP_FAILED);
    auto* from = static_cast<std::byte*>(reserved);
    const std::size_t skip = (page_bytes - reinterpret_cast<std::uintptr_t>(from) % page_bytes);
    base_ = from + skip;
    munmap(from, skip);
    if (skip != page_bytes)
        munmap(base_ + reserved_bytes_, page_bytes - skip);
    // Without huge pages it is slower, not wrong.
    madvise(base_, reserved_bytes_, MADV_HUGEPAGE);
    chunks_left_ = pages * chunks_per_page;
    partial_.fill(none);
}

SlotArena::~SlotArena() {
    munmap(base_, reserved_bytes_);
}

SlotArena::Handle SlotArena::allocate(std::size_t units) {
    if (partial_[units] == none)
        link(take_chunk(units));
    const std::uint32_t at = partial_[units];
    Chunk& chunk = chunks_[at];
    std::uint16_t slot = chunk.first_free;
    const std::uint32_t first = at * chunk_units;
    if (slot == no_slot)
        slot = chunk.begun++;
    else
        std::memcpy(
            &chunk.first_free, this->at(first + slot * chunk.units), sizeof chunk.first_free
        );
    ++chunk.used;
    if (chunk.first_free == no_slot && chunk.begun == slots_of(chunk))
        unlink(at);
    used_bytes_ += units * unit;
    return first + slot * chunk.units;
}

void SlotArena::free(Handle handle) {
    const std::uint32_t at = handle / chunk_units;
    Chunk& chunk = chunks_[at];
    const bool was_full = chunk.first_free == no_slot && chunk.begun == slots_of(chunk);
    std::memcpy(this->at(handle), &chunk.first_free, sizeof chunk.first_free);
    chunk.first_free = static_cast<std::uint16_t>(handle % chunk_units / chunk.units);
    used_bytes_ -= chunk.units * unit;
    if (was_full)
        link(at);
    if (--chunk.used == 0)
        release_chunk(at);
}

std::uint32_t SlotArena::take_chunk(std::size_t units) {
    check(chunks_left_ != 0);
    --chunks_left_;
    while (lowest_page_ < pages_.size() && pages_[lowest_page_].free == 0)
        ++lowest_page_;
    if (lowest_page_ == pages_.size()) {
        pages_.emplace_back();
        chunks_.resize(chunks_.size() + chunks_per_page);
    }
    Page& page = pages_[lowest_page_];
    const auto bit = static_cast<std::uint32_t>(std::countr_zero(page.free));
    page.free &= page.free - 1;
    page.touched |= std::uint32_t{1} << bit;
    if (spare_page_ == lowest_page_)
        spare_page_ = none;
    const std::uint32_t at = lowest_page_ * chunks_per_page + bit;
    chunks_[at] = Chunk{};
    chunks_[at].units = static_cast<std::uint16_t>(units);
    chunks_[at].begun = at == 0 ? 1 : 0; // handle 0 names nothing
    return at;
}

void SlotArena::release_chunk(std::uint32_t at) {
    unlink(at);
    chunks_[at].units = 0;
    ++chunks_left_;
    const std::uint32_t number = at / chunks_per_page;
    Page& page = pages_[number];
    page.free |= std::uint32_t{1} << at % chunks_per_page;
    lowest_page_ = std::min(lowest_page_, number);
    if (~page.free != 0)
        return;
    if (spare_page_ == none) {
        spare_page_ = number;
        return;
    }
    // Of two pages the lower one stays, since it is taken first.
    const std::uint32_t leaves = std::max(spare_page_, number);
    spare_page_ = std::min(spare_page_, number);
    madvise(base_ + std::size_t{leaves} * page_bytes, page_bytes, MADV_DONTNEED);
    pages_[leaves].touched = 0;
}

void SlotArena::link(std::uint32_t at) {
    Chunk& chunk = chunks_[at];
    chunk.previous = none;
    chunk.next = partial_[chunk.units];
    if (chunk.next != none)
        chunks_[chunk.next].previous = at;
    partial_[chunk.units] = at;
}

void SlotArena::unlink(std::uint32_t at) {
    const Chunk& chunk = chunks_[at];
    if (chunk.previous == none)
        partial_[chunk.units] = chunk.next;
    else
        chunks_[chunk.previous].next = chunk.next;
    if (chunk.next != none)
        chunks_[chunk.next].previous = chunk.previous;
}

std::uint64_t SlotArena::memory_bytes() const noexcept {
    std::uint64_t bytes =
        sizeof *this + chunks_.capacity() * sizeof(Chunk) + pages_.capacity() * sizeof(Page);
    for (const Page& page : pages_)
        bytes += static_cast<std::uint64_t>(std::popcount(page.touched)) * chunk_bytes;
    return bytes;
}

} // namespace weft
