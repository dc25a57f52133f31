#define TT_ISA v3
#include "kernel-inl.h"
