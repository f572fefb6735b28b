// Sizes of messages are host arithmetic: the same source, in this namespace.
#include "../cpu/index_sizes.cpp"
