// What every operation of the core returns. Nothing in the core throws or allocates.
#pragma once

#include <cstdint>

namespace gradwire {

enum class Status : std::int32_t {
    ok = 0,
    workspace_too_small,
    capacity_exceeded,
    not_increasing,
    index_out_of_range,
    wrong_length,
    count_mismatch,
    nonzero_padding,
    code_too_large,
    wrong_parameter,
};

// What was expected, for messages to people; the caller says who and adds the sizes.
inline const char* describe(Status status) noexcept {
    switch (status) {
        case Status::ok:
            return "ok";
        case Status::workspace_too_small:
            return "the workspace must have at least the bytes that the size query returns";
        case Status::capacity_exceeded:
            return "the output buffers must hold the whole result";
        case Status::not_increasing:
            return "indices must be strictly increasing; sort them and drop repeats";
        case Status::index_out_of_range:
            return "indices must lie inside the range they belong to";
        case Status::wrong_length:
            return "the message length must be that of the stated number of indices";
        case Status::count_mismatch:
            return "the counts per tile must add up to the stated number of indices";
        case Status::nonzero_padding:
            return "bits and digits behind the last element must be zero";
        case Status::code_too_large:
            return "codes must be below the number of values that their form has";
        case Status::wrong_parameter:
            return "the parameter of a block must be that of its gaps";
    }
    return "unknown status";
}

}  // namespace gradwire
