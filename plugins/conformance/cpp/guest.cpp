// The conformance guest in C++: what is C in the other is C++ here, with the same header. See ../README.md.
#include "../c/guest.c"
