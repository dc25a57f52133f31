#define TT_ISA v4
#include "kernel-inl.h"
