// The writer of a PagedArray (pipeline/world.hh).
#pragma once

#include "base/reclaim.hh"
#include "pipeline/world.hh"

#include <cstddef>
#include <memory>
#include <vector>

namespace weft {

/// Copies each page at most once between two freezes. Owns the values; a replaced or erased one is
/// retired.
template <class T>
class PagedArrayWriter {
public:
    explicit PagedArrayWriter(Reclaimer& reclaimer) : reclaimer_{reclaimer} {}
    ~PagedArrayWriter() {
        for (const auto* page : pages_) {
            for (const T* value : *page)
                delete value;
            delete page;
        }
        delete[] frozen_.pages;
    }
    PagedArrayWriter(const PagedArrayWriter&) = delete;
    PagedArrayWriter& operator=(const PagedArrayWriter&) = delete;

    const T* find(std::size_t at) const noexcept {
        const std::size_t page = at / size;
        return page < pages_.size() ? (*pages_[page])[at % size] : nullptr;
    }
    /// nullptr erases.
    void set(std::size_t at, std::unique_ptr<const T> value) {
        auto& slot = (*writable_page(at / size))[at % size];
        if (slot != nullptr)
            reclaimer_.retire([old = slot] { delete old; });
        slot = value.release();
        changed_ = true;
    }
    /// The array as it is now; stays whole until the grace period after the next freeze.
    PagedArray<T> freeze() {
        if (!changed_)
            return frozen_;
        const auto** root = new const Page*[pages_.size()];
        for (std::size_t i = 0; i < pages_.size(); ++i)
            root[i] = pages_[i];
        if (frozen_.pages != nullptr)
            reclaimer_.retire([old = frozen_.pages] { delete[] old; });
        frozen_ = {root, pages_.size()};
        fresh_.assign(pages_.size(), false);
        changed_ = false;
        return frozen_;
    }

private:
    using Page = typename PagedArray<T>::Page;
    static constexpr std::size_t size = PagedArray<T>::page_size;

    Page* writable_page(std::size_t at) {
        while (pages_.size() <= at) {
            pages_.push_back(new Page{});
            fresh_.push_back(true);
        }
        if (!fresh_[at]) {
            auto* copy = new Page{*pages_[at]};
            reclaimer_.retire([old = pages_[at]] { delete old; });
            pages_[at] = copy;
            fresh_[at] = true;
        }
        return pages_[at];
    }

    Reclaimer& reclaimer_;
    std::vector<Page*> pages_;
    std::vector<bool> fresh_; // made since the last freeze: nobody reads it yet
    PagedArray<T> frozen_;
    bool changed_ = false;
};

} // namespace weft
