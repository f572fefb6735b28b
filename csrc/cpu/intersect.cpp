#include <algorithm>
#include <cstring>

#include "gradwire/merge.h"
#include "increasing.h"

namespace gradwire {
inline namespace GRADWIRE_ISA {
namespace {

struct Set {
    const std::uint32_t* elements;
    std::uint64_t count;

    // The place of the first element that is not less.
    [[nodiscard]] std::uint64_t place_of(std::uint32_t element) const {
        return static_cast<std::uint64_t>(std::lower_bound(elements, elements + count, element) -
                                          elements);
    }
};

struct Range {
    std::uint64_t begin;
    std::uint64_t end;
};

// Where elements of `set` can be that `other` has in a range.
Range matching(Range range, const Set& other, const Set& set) {
    if (range.begin == range.end) {
        return {0, 0};
    }
    const std::uint64_t end = set.place_of(other.elements[range.end - 1]) + 1;
    return {set.place_of(other.elements[range.begin]), std::min(end, set.count)};
}

// Walks through pieces of two sets. Every step waits for the comparison of the step before, so that
// several walks side by side take hardly longer than one.
class Walk {
  public:
    // Writes to `out` from `begin` on, as much as the smaller piece has.
    Walk(const Set& a, Range in_a, const Set& b, Range in_b, Common out, std::uint64_t begin)
        : a_(a.elements),
          b_(b.elements),
          out_(out),
          i_(in_a.begin),
          i_end_(in_a.end),
          j_(in_b.begin),
          j_end_(in_b.end),
          begin_(begin),
          written_(begin) {}

    // Steps that need no look at the ends.
    [[nodiscard]] std::uint64_t safe_steps() const { return std::min(i_end_ - i_, j_end_ - j_); }

    // A walk that has written as much as a piece has is at the end of it.
    void step() {
        const std::uint32_t left = a_[i_];
        const std::uint32_t right = b_[j_];
        out_.elements[written_] = left;
        out_.positions[written_] = static_cast<std::uint32_t>(i_);
        written_ += static_cast<std::uint64_t>(left == right);
        i_ += static_cast<std::uint64_t>(left <= right);
        j_ += static_cast<std::uint64_t>(right <= left);
    }

    void finish() {
        while (safe_steps() > 0) {
            step();
        }
    }

    // Moves what was written to `at`, which is not behind it; returns the place after it.
    [[nodiscard]] std::uint64_t move_to(std::uint64_t at) const {
        const std::uint64_t count = written_ - begin_;
        if (count == 0) {  // there may be no memory at all
            return at;
        }
        std::memmove(out_.elements + at, out_.elements + begin_, count * sizeof *out_.elements);
        std::memmove(out_.positions + at, out_.positions + begin_, count * sizeof *out_.positions);
        return at + count;
    }

  private:
    const std::uint32_t* a_;
    const std::uint32_t* b_;
    Common out_;
    std::uint64_t i_;
    std::uint64_t i_end_;
    std::uint64_t j_;
    std::uint64_t j_end_;
    std::uint64_t begin_;
    std::uint64_t written_;
};

constexpr std::uint64_t kWalks = 4;

// The walk through one of the pieces that the smaller set is cut into.
Walk walk_through(std::uint64_t piece, const Set& a, const Set& b, Common out) {
    const std::uint64_t smaller = std::min(a.count, b.count);
    const Range cut{smaller * piece / kWalks, smaller * (piece + 1) / kWalks};
    const bool cut_a = a.count <= b.count;
    const Range in_a = cut_a ? cut : matching(cut, b, a);
    const Range in_b = cut_a ? matching(cut, a, b) : cut;
    return Walk(a, in_a, b, in_b, out, cut.begin);
}

}  // namespace

Status intersect(const std::uint32_t* a, std::uint64_t a_count, const std::uint32_t* b,
                 std::uint64_t b_count, Common out, std::uint64_t* written) noexcept {
    if (!strictly_increasing(a, a_count) || !strictly_increasing(b, b_count)) {
        return Status::not_increasing;
    }
    const Set first_set{a, a_count};
    const Set second_set{b, b_count};
    const auto walk = [&](std::uint64_t piece) {
        return walk_through(piece, first_set, second_set, out);
    };
    Walk first = walk(0);
    Walk second = walk(1);
    Walk third = walk(2);
    Walk fourth = walk(3);
    const auto safe = [&] {
        return std::min(
            {first.safe_steps(), second.safe_steps(), third.safe_steps(), fourth.safe_steps()});
    };
    for (std::uint64_t steps = safe(); steps > 0; steps = safe()) {
        for (; steps > 0; --steps) {
            first.step();
            second.step();
            third.step();
            fourth.step();
        }
    }
    std::uint64_t count = 0;
    for (Walk* each : {&first, &second, &third, &fourth}) {
        each->finish();
        count = each->move_to(count);
    }
    *written = count;
    return Status::ok;
}

}  // namespace GRADWIRE_ISA
}  // namespace gradwire
