// A few lines instead of a framework: tests register themselves, checks report file and line.
#pragma once

#include <cstdio>
#include <vector>

namespace gradwire::testing {

struct Test {
    const char* name;
    void (*run)();
};

inline std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

inline int& failures() {
    static int count = 0;
    return count;
}

struct Registration {
    Registration(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

inline void report(bool holds, const char* expression, const char* file, int line) {
    if (!holds) {
        std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, expression);
        ++failures();
    }
}

}  // namespace gradwire::testing

#define TEST(name)                                                                  \
    static void name();                                                             \
    static const gradwire::testing::Registration registration_##name(#name, &name); \
    static void name()

#define CHECK(expression) \
    gradwire::testing::report(static_cast<bool>(expression), #expression, __FILE__, __LINE__)
