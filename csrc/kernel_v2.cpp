#define TT_ISA v2
#include "kernel-inl.h"
