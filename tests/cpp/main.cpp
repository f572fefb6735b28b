#include <cstdio>

#include "check.h"

int main() {
    using gradwire::testing::failures;
    for (const auto& test : gradwire::testing::tests()) {
        const int before = failures();
        test.run();
        std::printf("%s %s\n", failures() == before ? "ok    " : "FAILED", test.name);
    }
    std::printf("%zu tests, %d checks failed\n", gradwire::testing::tests().size(), failures());
    return failures() == 0 && !gradwire::testing::tests().empty() ? 0 : 1;
}
