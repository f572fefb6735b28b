#include <cstdio>

#include "check.h"
#include "gradwire/isa.h"

#define GRADWIRE_NAME_OF(isa) #isa
#define GRADWIRE_NAME(isa) GRADWIRE_NAME_OF(isa)

int main() {
    if (!gradwire::runs(gradwire::Isa::GRADWIRE_ISA)) {
        std::printf("not run: this processor has no %s\n", GRADWIRE_NAME(GRADWIRE_ISA));
        return 0;
    }
    using gradwire::testing::failures;
    for (const auto& test : gradwire::testing::tests()) {
        const int before = failures();
        test.run();
        std::printf("%s %s\n", failures() == before ? "ok    " : "FAILED", test.name);
    }
    std::printf("%zu tests, %d checks failed\n", gradwire::testing::tests().size(), failures());
    return failures() == 0 && !gradwire::testing::tests().empty() ? 0 : 1;
}
