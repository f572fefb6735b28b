#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "gradwire/philox.h"
#include "gradwire/rounding_steps.h"

using gradwire::Run;
using gradwire::RunFinder;

namespace {

constexpr std::uint32_t kRuns = 64;
constexpr std::uint32_t kTerms = 32;

double add_all(const std::vector<double>& x, std::uint32_t begin, std::uint32_t end, double sum) {
    for (std::uint32_t i = begin; i < end; ++i) {
        sum = sum + x[i];
    }
    return sum;
}

// Adds x by runs, joined two by two where that is possible; counts what had to be added one by one.
double add_by_runs(const std::vector<double>& x, double sum, unsigned* one_by_one) {
    for (std::uint32_t run = 0; run < kRuns; run += 2) {
        const std::uint32_t begin = run * kTerms, middle = begin + kTerms, end = middle + kTerms;
        RunFinder first(sum), second(sum);  // which take no more from it than the binade
        for (std::uint32_t i = 0; i < kTerms; ++i) {
            first.add(x[begin + i]);
            second.add(x[middle + i]);
        }
        if (!add_run(join_runs(first.result(), second.result()), &sum)) {
            sum = add_all(x, begin, end, sum);
            ++*one_by_one;
        }
    }
    return sum;
}

// Multiples of 2^exponent: next to a large sum they are ties, and what is above and below.
std::vector<double> terms(std::uint32_t seed, int exponent, std::uint32_t most) {
    std::vector<double> x(kRuns * kTerms);
    for (std::uint32_t i = 0; i < x.size(); ++i) {
        const auto words = gradwire::philox4x32({i, 0, 0, 0}, {seed, 0});
        x[i] = std::ldexp(static_cast<double>(words[0] % most), exponent);
    }
    return x;
}

}  // namespace

TEST(runs_round_as_their_additions_do) {
    for (std::uint32_t seed = 0; seed < 20; ++seed) {
        for (const double start : {1.0, 1.5, 1.0 + 0x1p-52, 2.0 - 0x1p-52}) {
            for (const int exponent : {-60, -55, -54, -53, -52, -30}) {
                const std::vector<double> x = terms(seed, exponent, seed % 2 == 0 ? 5 : 10000);
                unsigned one_by_one = 0;
                const double sum = add_by_runs(x, start, &one_by_one);
                CHECK(sum == add_all(x, 0, kRuns * kTerms, start));
                CHECK(one_by_one <= 2);
            }
        }
    }
}

TEST(runs_know_what_they_cannot_tell) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    double sum = 0.0;
    CHECK(add_run(RunFinder(0.0).result(), &sum));  // zeros only
    RunFinder from_zero(0.0);
    from_zero.add(1.0);
    CHECK(!add_run(from_zero.result(), &sum));
    for (const double x : {kInfinity, std::nan(""), 2.0}) {
        RunFinder finder(1.25);
        finder.add(x);
        CHECK(finder.result().exponent == Run::kUnknown);
        sum = 1.25;
        CHECK(!add_run(finder.result(), &sum));
    }
    RunFinder unlike(1.25);
    unlike.add(0.25);
    // Other binades, one of them left for this one, and this one left.
    for (const double start : {0.75, 2.5, 0.0, 0.95, 1.75}) {
        sum = start;
        CHECK(!add_run(unlike.result(), &sum));
        CHECK(sum == start);
    }
    sum = 1.5;
    CHECK(add_run(unlike.result(), &sum) && sum == 1.75);
    RunFinder of_nan(std::nan(""));
    CHECK(of_nan.result().exponent == Run::kUnknown);
}
