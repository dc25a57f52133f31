#define TT_ISA portable
#include "kernel-inl.h"
